"""Reads commands from NDJSON. A line is an event, an array of events, or the bare `data` of an event."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic_core import from_json

from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.files import display_name, read_lines
from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.intake import Intake, Spellings
from numbergroup.engine.decoding.json_scanner import split_array
from numbergroup.engine.verdicts import Refusal
from numbergroup_contracts.commands import CREATE, LIST, UPDATE

_ERRORS_SHOWN = 10
_MAX_ERRORS = 100
_MAX_DOCUMENT_LINES = 1_000

MakeAttributes = Callable[[int], dict[str, str]]
"""Makes the attributes of bare data (`id`, `source`, maybe `account`) from the number of its line."""


def read_commands(
    file: Path, make_attributes: MakeAttributes, max_bytes: int, *, spellings: Spellings | None = None
) -> list[tuple[bytes, Command]]:
    """Return all commands of the file in order, each with its event as bytes.

    Raises `CommandError` that names the lines which are not commands, or have more than `max_bytes`. After
    100 such lines it stops reading. `spellings`: see `Intake`.
    """
    intake = Intake(max_bytes, spellings or {})
    found: list[tuple[bytes, Command]] = []
    errors: list[str] = []
    first_lines: list[bytes] = []
    for number, text in read_lines(file):
        line = text.encode().strip()
        if not line:
            continue
        if len(first_lines) <= _MAX_DOCUMENT_LINES:
            first_lines.append(line)
        for item, event in _decode(intake, _to_event(line, number, make_attributes), number):
            if isinstance(item, Command):
                found.append((event, item))
            else:
                errors.append(f"line {number}: {item.message}")
        if len(errors) >= _MAX_ERRORS:
            break
    if errors:
        raise CommandError(
            f"{display_name(file)}: nothing was sent, because {_describe_errors(first_lines, errors)}"
        )
    return found


def _decode(intake: Intake, body: bytes, number: int) -> Iterator[tuple[Command | Refusal, bytes]]:
    """Yield what intake decodes from a message, each with its event as bytes."""
    entry = Entry(0, f"line {number}", body)
    items = intake.read(entry)
    events = split_array(body)[0] if entry.is_array else [body]
    for item in items:
        yield item, events[item.origins[0].index] if isinstance(item, Command) else b""


def _describe_errors(first_lines: Sequence[bytes], errors: Sequence[str]) -> str:
    if _is_one_document(first_lines, is_complete=len(errors) < _MAX_ERRORS):
        return (
            "this is one JSON document over several lines: put each event, or each array of events, on a "
            "line of its own (jq -c . does that)"
        )
    more = [f"and {len(errors) - _ERRORS_SHOWN} more"] if len(errors) > _ERRORS_SHOWN else []
    if len(errors) >= _MAX_ERRORS:
        more = [f"{more[0]}; the rest was not read"]
    return "\n  ".join(["these lines are not commands:", *errors[:_ERRORS_SHOWN], *more])


def _is_one_document(lines: Sequence[bytes], *, is_complete: bool) -> bool:
    """Return whether the lines together are JSON, or its beginning if they are not complete."""
    if len(lines) < 2:
        return False
    try:
        from_json(b"\n".join(lines), allow_partial=not is_complete or len(lines) > _MAX_DOCUMENT_LINES)
    except ValueError:
        return False
    return True


def _to_event(line: bytes, number: int, make_attributes: MakeAttributes) -> bytes:
    """Return a line that is an event or an array unchanged, and bare data as an event."""
    try:
        value = from_json(line)
    except ValueError:
        return line
    if not isinstance(value, dict) or not value.keys().isdisjoint(("specversion", "type", "data")):
        return line
    attributes = {"specversion": "1.0", "type": _infer_type(value), **make_attributes(number)}
    # The data is inserted unparsed, so that intake sees exactly what was written.
    return orjson.dumps(attributes)[:-1] + b',"data":' + line + b"}"


def _infer_type(data: dict[str, Any]) -> str:
    """Return the type of bare data, by its fields.

    It is never a deletion: a line that lacks a field by mistake must not delete a group.
    """
    if "operateType" in data or "groupId" in data:
        return UPDATE
    if "phones" in data:
        return CREATE
    return UPDATE if "groupKey" in data else LIST
