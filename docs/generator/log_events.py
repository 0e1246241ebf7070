"""Log events, from the calls in the worker's source that write them."""

import ast
import itertools
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from docs.generator.markup import code, escaped, table

import numbergroup

_SOURCE = Path(numbergroup.__file__).parent
_LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
_RETRY = "retry_until_available"
_UNKNOWN = "…"


class Event(NamedTuple):
    """`logger` as it stands in `logger_name`; `fields` are its keys beside event, level and time."""

    logger: str
    level: str
    text: str
    fields: tuple[str, ...]


def tables() -> str:
    """All events, by the logger that writes them."""
    by_logger = defaultdict(set)
    for event in events():
        by_logger[event.logger].add(event)
    return "\n".join(
        f"### {code(logger)}\n\n" + table(("level", "event", "fields"), map(_row, sorted(found)))
        for logger, found in sorted(by_logger.items())
    )


def steps() -> str:
    """What the worker repeats until it succeeds: what `…` stands for in the events of `retry`."""
    found = {
        text
        for tree in _trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (_RETRY, "retry") and node.args
        for text in _texts(node.args[0], tree)
    }
    return "\n".join(f"- {escaped(one)}" for one in sorted(found - {_UNKNOWN})) + "\n"


def events() -> list[Event]:
    """All events of the worker whose text stands in its source."""
    return [event for tree in _trees().values() for event in _events_of(tree)]


def _row(event: Event) -> tuple[str, str, str]:
    return event.level, escaped(event.text), ", ".join(map(code, event.fields))


@cache
def _trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(_SOURCE.rglob("*.py"))}


def _events_of(tree: ast.Module) -> Iterator[Event]:
    logger = next(
        (
            call.args[0].value
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            and ast.unparse(call.func).endswith("get_logger")
            and call.args
            and isinstance(call.args[0], ast.Constant)
        ),
        "",
    )
    for node in ast.walk(tree):
        for level, message, keywords in _written(node):
            fields = tuple(sorted(one.arg for one in keywords if one.arg not in (None, "exc_info")))
            for text in _texts(message, tree):
                if text != _UNKNOWN:
                    yield Event(str(logger), "error" if level == "exception" else level, text, fields)


def _written(node: ast.AST) -> Iterator[tuple[str, ast.expr, list[ast.keyword]]]:
    """`log.info("text", …)`; or the method and the text side by side, to be called elsewhere."""
    match node:
        case ast.Call(ast.Attribute(ast.Name("log"), level), [message, *_], keywords) if level in _LEVELS:
            yield level, message, keywords
        case ast.Call(_, parts) | ast.Tuple(parts):
            for first, second in itertools.pairwise(parts):
                match first:
                    case ast.Attribute(ast.Name("log"), level) if level in _LEVELS:
                        yield level, second, []


def _texts(message: ast.expr, tree: ast.Module) -> list[str]:
    """What the expression may be, with `…` for what is known only when it runs."""
    match message:
        case ast.Constant(str(text)):
            return [text]
        case ast.JoinedStr(parts):
            return ["".join(_texts(part, tree)[0] for part in parts)]
        case ast.BinOp(left, ast.Add(), right):
            return [one + other for one in _texts(left, tree) for other in _texts(right, tree)]
        case ast.IfExp(_, one, other):
            return [*_texts(one, tree), *_texts(other, tree)]
        case ast.Name(name):
            for statement in tree.body:
                match statement:
                    case ast.Assign([ast.Name(found)], value) if found == name:
                        return _texts(value, tree)
    return [_UNKNOWN]
