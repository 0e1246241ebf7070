"""All exceptions of the product stand in one tree, and the docstring of `numbergroup.errors` draws it."""

import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

import numbergroup
import numbergroup_contracts
from numbergroup import errors

_LINE = re.compile(r"(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+)(?: {2,}(?P<text>\S.*))?")


def _exceptions() -> Iterator[type[BaseException]]:
    for package in (numbergroup, numbergroup_contracts):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith(".__main__"):
                continue
            module = import_module(found.name)
            for value in vars(module).values():
                is_exception = inspect.isclass(value) and issubclass(value, BaseException)
                if is_exception and value.__module__ == found.name:
                    yield value


def _drawn() -> dict[str, tuple[str | None, bool]]:
    """Of each name in the docstring its parent, and whether the text calls it a `ValueError`, too."""
    drawn: dict[str, tuple[str | None, bool]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").split("\n\n")[1].splitlines():
        match = _LINE.fullmatch(line)
        assert match is not None, line
        depth = len(match["indent"]) // 4
        parent = above[depth - 1] if depth else None
        above[depth:] = [match["name"]]
        drawn[match["name"]] = (parent, "(also a ValueError)" in (match["text"] or ""))
    return drawn


def test_every_exception_belongs_to_the_tree() -> None:
    strays = [kind for kind in _exceptions() if not issubclass(kind, errors.NumbergroupError)]
    assert strays == []


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    public = {kind for kind in _exceptions() if not kind.__name__.startswith("_")}
    actual = {}
    for kind in public:
        parents = [base.__name__ for base in kind.__bases__ if base in public]
        assert len(parents) <= 1
        actual[kind.__name__] = (parents[0] if parents else None, issubclass(kind, ValueError))
    assert actual == _drawn()


def test_names_are_unique() -> None:
    names = [kind.__name__ for kind in _exceptions()]
    assert len(names) == len(set(names))
