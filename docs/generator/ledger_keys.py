"""The ledger's keys, from the module that names them."""

import ast
import inspect
from collections.abc import Iterator
from typing import NamedTuple

from docs.generator.markup import code, described, table

from numbergroup.ledger import keys

_TYPES = ("String", "Hash", "Set", "Stream", "List")
_HEAD = ("key", "type", "content")


class Key(NamedTuple):
    """A key's pattern, with its variable parts as `<name>`, its type in Redis and what it holds."""

    pattern: str
    type: str
    text: str


def of_a_partition() -> str:
    """The keys that every partition has."""
    return table(_HEAD, ((code(one.pattern), one.type, one.text) for one in partition_keys()))


def of_all() -> str:
    """The keys that belong to no partition."""
    return table(_HEAD, ((code(one.pattern), one.type, one.text) for one in other_keys()))


def partition_keys() -> list[Key]:
    """Those of one partition, `{p}`."""
    found = [_key(keys.commands("p"), inspect.getdoc(keys.commands) or "")]  # type: ignore[arg-type]
    for one in described(keys):
        match one.value:
            case ast.Constant(str(name)) if _is_key(one.text) and not name.startswith("numbergroup"):
                found.append(_key(keys.of_partition("p", name), one.text))  # type: ignore[arg-type]
    return found


def other_keys() -> list[Key]:
    """Those of everything else: fixed names first."""
    fixed = [
        _key(getattr(keys, one.name), one.text)
        for one in described(keys)
        if _is_key(one.text) and str(getattr(keys, one.name)).startswith("numbergroup")
    ]
    return [*fixed, *_functions()]


def _functions() -> Iterator[Key]:
    for function in ast.parse(inspect.getsource(keys)).body:
        match function:
            case ast.FunctionDef() if _is_key(text := ast.get_docstring(function) or ""):
                match function.body[-1]:
                    case ast.Return(ast.JoinedStr(parts)):
                        yield _key("".join(map(_part, parts)), text)


def _part(part: ast.expr) -> str:
    match part:
        case ast.Constant(str(text)):
            return text
        case ast.FormattedValue(ast.Name(name)):
            return f"<{name}>"
    return "<digest>"


def _is_key(text: str) -> bool:
    return text.startswith(_TYPES)


def _key(pattern: str, text: str) -> Key:
    kind, _, content = " ".join(text.split()).partition(": ")
    return Key(pattern, kind, content)
