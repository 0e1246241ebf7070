"""Reading NDJSON: a line is an event, an array of events, or the bare `data` of one."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic_core import from_json

from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.files import name_of, read_lines
from numbergroup.engine.commands import Command, Entry, Refusal
from numbergroup.engine.decoding.intake import Intake, Spellings
from numbergroup.engine.decoding.lenient_decode import split_array
from numbergroup_contracts.commands import CREATE, LIST, UPDATE

_ERRORS_SHOWN = 10
_MOST_ERRORS = 100
_LINES_OF_DOCUMENT = 1_000

Envelope = Callable[[int], dict[str, str]]
"""The attributes that bare data gets: `id`, `source` and what else is known, by the number of the line."""


def read_commands(
    file: Path, envelope: Envelope, most_bytes: int, *, spellings: Spellings | None = None
) -> list[tuple[bytes, Command]]:
    """Every command of the file with its event as bytes, in order.

    Raises `Failure` that names the lines which are none, or are larger than `most_bytes`: then none
    is returned. After a hundred of them nothing more is read. `spellings`: see `Intake`.
    """
    intake = Intake(most_bytes, spellings or {})
    found: list[tuple[bytes, Command]] = []
    errors: list[str] = []
    beginning: list[bytes] = []
    for number, text in read_lines(file):
        line = text.encode().strip()
        if not line:
            continue
        if len(beginning) <= _LINES_OF_DOCUMENT:
            beginning.append(line)
        for item, event in _items(intake, _event(line, number, envelope), number):
            if isinstance(item, Command):
                found.append((event, item))
            else:
                errors.append(f"line {number}: {item.message}")
        if len(errors) >= _MOST_ERRORS:
            break
    if errors:
        raise CommandError(f"{name_of(file)}: nothing was sent, because {_problem(beginning, errors)}")
    return found


def _items(intake: Intake, body: bytes, number: int) -> Iterator[tuple[Command | Refusal, bytes]]:
    """What intake makes of a message, each with its event."""
    entry = Entry(0, f"line {number}", body)
    items = intake.read(entry)
    events = split_array(body)[0] if entry.is_array else [body]
    for item in items:
        yield item, events[item.origins[0].index] if isinstance(item, Command) else b""


def _problem(beginning: Sequence[bytes], errors: Sequence[str]) -> str:
    if _is_one_document(beginning, whole=len(errors) < _MOST_ERRORS):
        return (
            "this is one JSON document over several lines: put each event, or each array of events, on a "
            "line of its own (jq -c . does that)"
        )
    more = [f"and {len(errors) - _ERRORS_SHOWN} more"] if len(errors) > _ERRORS_SHOWN else []
    if len(errors) >= _MOST_ERRORS:
        more = [f"{more[0]}; what follows was not read"]
    return "\n  ".join(["these are no commands:", *errors[:_ERRORS_SHOWN], *more])


def _is_one_document(lines: Sequence[bytes], *, whole: bool) -> bool:
    """Whether it is JSON as a whole, or the beginning of that, though not line by line."""
    if len(lines) < 2:
        return False
    try:
        from_json(b"\n".join(lines), allow_partial=not whole or len(lines) > _LINES_OF_DOCUMENT)
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
