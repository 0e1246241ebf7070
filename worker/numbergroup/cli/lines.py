"""Reading NDJSON: a line is an event, an array of events, or the bare `data` of one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic_core import from_json

from numbergroup.cli.endings import Failure
from numbergroup.cli.files import name_of, read_lines
from numbergroup.engine.intake import Intake, Spellings
from numbergroup.engine.model import Command, Entry
from numbergroup.engine.outline import elements
from numbergroup_contracts.commands import CREATE, LIST, UPDATE

_MOST_ERRORS = 10

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
    lines = [(number, line.encode().strip()) for number, line in read_lines(file)]
    for number, line in lines:
        if not line:
            continue
        body = _event(line, number, envelope)
        entry = Entry(0, f"line {number}", body)
        items = intake.read(entry)
        events = elements(body)[0] if entry.is_array else [body]
        for item in items:
            if isinstance(item, Command):
                found.append((events[item.origins[0].index], item))
            else:
                errors.append(f"line {number}: {item.message}")
    if errors and _is_one_document([line for _, line in lines]):
        raise Failure(
            f"{name_of(file)}: nothing was sent, because this is one JSON document over several lines: put "
            "each event, or each array of events, on a line of its own (jq -c . does that)"
        )
    if errors:
        more = len(errors) - _MOST_ERRORS
        shown = "\n  ".join(errors[:_MOST_ERRORS]) + (f"\n  and {more} more" if more > 0 else "")
        raise Failure(f"{name_of(file)}: nothing was sent, because these are no commands:\n  {shown}")
    return found


def _is_one_document(lines: Sequence[bytes]) -> bool:
    """Whether it is JSON as a whole, though not line by line."""
    if sum(map(bool, lines)) < 2:
        return False
    try:
        from_json(b"\n".join(lines))
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
