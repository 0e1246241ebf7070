"""Standard output: tables and lines for people, JSON for programs."""

import sys
from typing import Any

import orjson
from rich.console import Console

from numbergroup.text.escaping import escaped_json

_UNWRAPPED = 1_000


def make_console() -> Console:
    """Return a console that wraps lines on a terminal only, and that interprets no markup."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _UNWRAPPED
    return console


def pluralize(count: int, noun: str) -> str:
    """Return `1 number`, `2,000 numbers`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def print_json(value: Any) -> None:
    """Print one line of JSON, without raw control characters, and flush it."""
    print_json_line(orjson.dumps(value))
    sys.stdout.buffer.flush()


def print_json_line(line: bytes) -> None:
    """Print `line`, which is JSON already, and a line break. The caller flushes."""
    sys.stdout.buffer.write(escaped_json(line) + b"\n")
