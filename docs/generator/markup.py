"""Markdown, and what is read from the source of a module."""

import ast
import html
import inspect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import NamedTuple


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell may be Markdown of one paragraph."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(one) for one in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """The text as code."""
    return f"`{text}`"


def escaped(text: str) -> str:
    """Text that is no Markdown, such as a help text."""
    return html.escape(text, quote=False).replace("*", "\\*")


class Described(NamedTuple):
    """A name of a module, what it is assigned, and the docstring that follows."""

    name: str
    value: ast.expr
    text: str


def described(module: ModuleType, inside: str = "") -> Iterator[Described]:
    """The constants with a docstring, of the module or of its class `inside`."""
    body: list[ast.stmt] = ast.parse(inspect.getsource(module)).body
    if inside:
        (body,) = (one.body for one in body if isinstance(one, ast.ClassDef) and one.name == inside)
    for statement, following in itertools.pairwise(body):
        match statement, following:
            case ast.Assign([ast.Name(name)], value), ast.Expr(ast.Constant(str(text))):
                yield Described(name, value, " ".join(text.split()))
