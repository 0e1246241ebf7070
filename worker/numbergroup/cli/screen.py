"""What the commands print on."""

import sys
from typing import Any

import orjson
from rich.console import Console

from numbergroup.text.escaping import escaped_json

_UNWRAPPED = 1_000


def screen() -> Console:
    """A terminal in its own width and colours; anything else gets plain lines, which nothing breaks."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _UNWRAPPED
    return console


def counted(count: int, noun: str) -> str:
    """`1 number`, `2,000 numbers`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def print_json(value: Any) -> None:
    """One line of JSON on standard output, safe to look at on a terminal."""
    print_json_line(orjson.dumps(value))
    sys.stdout.buffer.flush()


def print_json_line(line: bytes) -> None:
    """A line that is JSON already, without its end; the caller flushes."""
    sys.stdout.buffer.write(escaped_json(line) + b"\n")
