"""How records, intents and marks are written in the ledger: compact JSON arrays.

Reading raises nothing, whatever is there: what this version cannot read is told in the log.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from contracts.results import Status
from worker.engine.model import CreateIntent, Fault, Record
from worker.telemetry import get_logger

T = TypeVar("T")
# What JSON carries safely, and so what a result can say.
_Count = Annotated[int, Field(ge=0, le=2**53)]
# Up to the end of the year 9999: what a result can say as its time.
_Ms = Annotated[int, Field(ge=0, le=253_402_300_799_999)]
_Text = str | None
_Fault = tuple[str, _Text, str]

_RECORD: TypeAdapter[tuple[Any, ...]] = TypeAdapter(
    tuple[str, Status, _Text, list[str], _Count, _Ms]
    | tuple[str, Status, _Text, list[str], _Count, _Ms, _Fault, _Text]
)
_INTENT = TypeAdapter(tuple[_Text, _Text, str, Annotated[float, Field(allow_inf_nan=False)]])
_INDEXES = TypeAdapter(set[_Count])

log = get_logger("ledger")


def encode_record(record: Record) -> bytes:
    fault = record.fault
    return orjson.dumps(
        [
            record.fingerprint,
            record.status.value,
            record.group_id,
            record.request_ids,
            record.merged,
            round(record.settled_at * 1000),
            *([] if fault is None else [[fault.kind, fault.code, fault.message], record.dead_letter_id]),
        ]
    )


def decode_record(data: bytes) -> Record | None:
    """The record; `None` for what this version cannot read, which then counts as never settled."""
    found = _read(_RECORD, data)
    if found is None:
        log.error("a record of a settled command cannot be read", bytes=len(data))
        return None
    fingerprint, status, group_id, request_ids, merged, settled_ms, *rest = found
    fault = Fault(*rest[0]) if rest else None
    letter = rest[1] if rest else None
    return Record(fingerprint, status, group_id, tuple(request_ids), merged, fault, letter, settled_ms / 1000)


def encode_intent(intent: CreateIntent) -> bytes:
    return orjson.dumps([intent.marker, intent.name, intent.numbers_digest, intent.settled_after])


def decode_intent(data: bytes) -> CreateIntent | None:
    """The intent; `None` for what this version cannot read: the create may have been sent or not."""
    found = _read(_INTENT, data)
    return None if found is None else CreateIntent(*found)


def decode_group_id(data: bytes) -> str | None:
    """The vendor's id of a group; `None` for what is no text."""
    try:
        return data.decode() or None
    except UnicodeDecodeError:
        return None


def decode_marks(found: Mapping[bytes, bytes]) -> dict[str, set[int]]:
    """By the messages' tags, which events are settled. What cannot be read marks nothing: the message is
    taken in again, and whatever of it was settled is known by its source and id."""
    marks: dict[str, set[int]] = {}
    for tag, data in found.items():
        indexes = _read(_INDEXES, data)
        if indexes is None:
            log.error("which events of a message are settled cannot be read", tag=repr(tag), bytes=len(data))
        else:
            marks[tag.decode(errors="replace")] = indexes
    return marks


def _read(what: TypeAdapter[T], data: bytes) -> T | None:
    try:
        return what.validate_json(data, strict=True)
    except ValidationError:
        return None
