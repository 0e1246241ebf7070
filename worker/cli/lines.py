"""Reading NDJSON: a line is an event, an array of events, or the bare `data` of one."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from pydantic_core import from_json

from contracts.commands import CREATE, LIST, UPDATE
from worker.cli.endings import Failure
from worker.engine.intake import Intake, Spellings
from worker.engine.model import Command, Entry
from worker.engine.outline import elements

_MOST_ERRORS = 10
_BOM = b"\xef\xbb\xbf"

Envelope = Callable[[int], dict[str, str]]
"""The attributes that bare data gets: `id`, `source` and what else is known, by the number of the line."""


def read_commands(
    file: Path, envelope: Envelope, most_bytes: int, *, spellings: Spellings | None = None
) -> list[tuple[bytes, Command]]:
    """Every command of the file with its event as bytes, in order.

    Raises `Failure` that names the lines which are none, or are larger than `most_bytes`: then none
    is returned. `spellings`: see `Intake`.
    """
    intake = Intake(most_bytes, spellings or {})
    found: list[tuple[bytes, Command]] = []
    errors: list[str] = []
    content = _content(file)
    for number, line in _lines(content):
        body = _event(line, number, envelope)
        entry = Entry(0, f"line {number}", body)
        items = intake.read(entry)
        events = elements(body)[0] if entry.is_array else [body]
        for item in items:
            if isinstance(item, Command):
                found.append((events[item.origins[0].index], item))
            else:
                errors.append(f"line {number}: {item.message}")
    if errors and _is_one_document(content):
        raise Failure(
            f"{_name(file)}: nothing was sent, because this is one JSON document over several lines: put "
            "each event, or each array of events, on a line of its own (jq -c . does that)"
        )
    if errors:
        more = len(errors) - _MOST_ERRORS
        shown = "\n  ".join(errors[:_MOST_ERRORS]) + (f"\n  and {more} more" if more > 0 else "")
        raise Failure(f"{_name(file)}: nothing was sent, because these are no commands:\n  {shown}")
    return found


def _name(file: Path) -> str:
    return "standard input" if str(file) == "-" else str(file)


def _content(file: Path) -> bytes:
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from None
    return content.removeprefix(_BOM)


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield number, line.strip()


def _is_one_document(content: bytes) -> bool:
    """Whether it is JSON as a whole, though not line by line."""
    if b"\n" not in content.strip():
        return False
    try:
        from_json(content)
    except ValueError:
        return False
    return True


def _event(line: bytes, number: int, envelope: Envelope) -> bytes:
    """The line itself if it is an event (or an array of them); bare data is put into an envelope."""
    try:
        value = from_json(line)
    except ValueError:
        return line
    if not isinstance(value, dict) or not value.keys().isdisjoint(("specversion", "type", "data")):
        return line
    head = {"specversion": "1.0", "type": _type_of(value), **envelope(number)}
    # The data goes in as it stands: intake is to see what was written, not what became of it here.
    return orjson.dumps(head)[:-1] + b',"data":' + line + b"}"


def _type_of(data: dict[str, Any]) -> str:
    """By what is in it. Never a deletion: a line that has lost a field or two must not delete a group."""
    if "operateType" in data or "groupId" in data:
        return UPDATE
    if "phones" in data:
        return CREATE
    return UPDATE if "groupKey" in data else LIST
