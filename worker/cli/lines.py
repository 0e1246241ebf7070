"""Reading NDJSON: a line is an event, or the bare `data` of one."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from pydantic_core import from_json

from contracts.commands import CREATE, DELETE, LIST, UPDATE
from worker.cli.endings import Failure
from worker.engine.intake import Intake
from worker.engine.model import Command, Entry

_MOST_ERRORS = 10


def read_commands(file: Path, source: str, account: str | None) -> list[tuple[bytes, Command]]:
    """Every command of the file with its event as bytes, in order.

    Raises `Failure` that names the lines which are none: then none is returned.
    """
    intake = Intake()
    found: list[tuple[bytes, Command]] = []
    errors: list[str] = []
    for number, line in _lines(file):
        body = _event(line, source, account)
        for index, item in enumerate(intake.read(Entry(0, f"line {number}", body))):
            if isinstance(item, Command):
                found.append((body if not item.origins[0].entry.is_array else _nth(body, index), item))
            else:
                errors.append(f"line {number}: {item.message}")
    if errors:
        more = len(errors) - _MOST_ERRORS
        shown = "\n  ".join(errors[:_MOST_ERRORS]) + (f"\n  and {more} more" if more > 0 else "")
        raise Failure(f"{file}: nothing was sent, because these are no commands:\n  {shown}")
    return found


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from None
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield number, line.strip()


def _event(line: bytes, source: str, account: str | None) -> bytes:
    """The line itself if it is an event (or an array of them); bare data is put into an envelope."""
    try:
        value = from_json(line)
    except ValueError:
        return line
    if not isinstance(value, dict) or "specversion" in value or "type" in value:
        return line
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source,
        "type": _type_of(value),
    }
    if account is not None:
        envelope["account"] = account
    return orjson.dumps({**envelope, "data": value})


def _type_of(data: dict[str, Any]) -> str:
    if "operateType" in data:
        return UPDATE
    if "phones" in data:
        return CREATE
    return DELETE if "groupId" in data or "groupKey" in data else LIST


def _nth(body: bytes, index: int) -> bytes:
    return orjson.dumps(from_json(body)[index])
