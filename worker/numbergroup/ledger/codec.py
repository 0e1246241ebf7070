"""Encodes and decodes the ledger's values: records, intents, marks, calls, crashes, quarantines, replays.

Most are compact JSON arrays. Decoding never raises for a bad value, unless its docstring says so: it logs
what this version cannot read.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from numbergroup.engine.calls import Call, CallKind
from numbergroup.engine.commands import Command, GroupRef, HandleKind
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.verdicts import QUARANTINED, Fault, Record
from numbergroup.ledger import keys
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.results import Status, VendorDetails

T = TypeVar("T")
# JSON numbers are exact up to here.
_Count = Annotated[int, Field(ge=0, le=2**53)]
# Up to the end of the year 9999, the last time that a result can have.
_Ms = Annotated[int, Field(ge=0, le=253_402_300_799_999)]
_Text = str | None
_Fault = tuple[str, _Text, str]

_RECORD_HEAD: Any = (str, Status, _Text, list[str], _Count, _Ms)
# The head is followed, in this order, by those parts that the record has: fault and dead letter id, number of
# replays, numbers that the vendor rejected, further details of the vendor's answer.
_RECORD_FORMS: Any = reduce(
    or_,
    (
        tuple.__class_getitem__((*_RECORD_HEAD, *fault, *replays, *rejected, *vendor))
        for fault in ((), (_Fault, _Text))
        for replays in ((), (_Count,))
        for rejected in ((), (list[str],))
        for vendor in ((), (VendorDetails,))
    ),
)
_RECORD: TypeAdapter[tuple[Any, ...]] = TypeAdapter(_RECORD_FORMS)
_Seconds = Annotated[float, Field(allow_inf_nan=False)]
_INTENT: TypeAdapter[tuple[Any, ...]] = TypeAdapter(
    tuple[_Text, _Text, str, _Seconds] | tuple[_Text, _Text, str, _Seconds, str]
)
_INDEXES = TypeAdapter(set[_Count])
_MS = TypeAdapter(_Ms)
# Twice the longest validity of a signature that settings allow.
_Left = Annotated[int, Field(le=8_000_000)]
_CALLS: TypeAdapter[list[tuple[Any, ...]]] = TypeAdapter(
    list[
        tuple[CallKind, _Text, _Left, list[str]]
        | tuple[CallKind, _Text, _Left, list[str], _Seconds]
        # A rename's texts.
        | tuple[CallKind, _Text, _Left, list[str], None, _Text, _Text]
    ]
)
_QUARANTINE = TypeAdapter(dict[str, _Text])
_TOTAL = re.compile(rb"[0-9]{1,7}")

log = get_logger("ledger")


def encode_record(record: Record) -> bytes:
    """Return the record as a JSON array: see `_RECORD_FORMS`."""
    mark, status, group_id, request_ids, merged, fault, letter, settled_at, replays, rejected, vendor = record
    fields: list[Any] = [mark, status.value, group_id, request_ids, merged, round(settled_at * 1000)]
    if fault is not None:
        fields += ([fault.kind, fault.code, fault.message], letter)
    if replays:
        fields.append(replays)
    if rejected:
        fields.append(rejected)
    if vendor is not None:
        fields.append(orjson.Fragment(vendor))
    return orjson.dumps(fields)


def encode_records(records: Iterable[tuple[Command, Record]]) -> list[str]:
    """Return the key and the value of each record, alternately.

    What consecutive records have in common is encoded once.
    """
    encoded: list[str] = []
    shared: tuple[Any, ...] = ()
    rest = ""
    for command, record in records:
        common = record[1:]
        if common != shared:
            whole, shared = encode_record(record), common
            rest = whole[whole.index(b",") :].decode()
        encoded += (keys.settled(command.digest), f'["{record[0]}"{rest}')
    return encoded


def decode_record(data: bytes) -> Record | None:
    """Return the record; `None` if it cannot be read: the command then counts as never settled."""
    fields = _read(_RECORD, data)
    if fields is None:
        log.error("a record of a settled command cannot be read", bytes=len(data))
        return None
    fingerprint, status, group_id, request_ids, merged, settled_ms, *rest = fields
    vendor = rest.pop() if rest and isinstance(rest[-1], VendorDetails) else None
    rejected = rest.pop() if rest and isinstance(rest[-1], list) else ()
    replays = rest.pop() if len(rest) % 2 else 0
    fault = Fault(*rest[0]) if rest else None
    letter = rest[1] if rest else None
    head = (fingerprint, status, group_id, tuple(request_ids), merged, fault, letter)
    details = None if vendor is None else orjson.dumps(vendor.model_dump(exclude_none=True))
    return Record(*head, settled_ms / 1000, replays, tuple(rejected), details)


def encode_intent(intent: CreateIntent) -> bytes:
    """Return the intent of a create as a JSON array."""
    fields = [intent.marker, intent.name, intent.numbers_digest, intent.request_expires_at]
    return orjson.dumps(fields if intent.group_id is None else [*fields, intent.group_id])


def decode_intent(data: bytes) -> CreateIntent | None:
    """Return the intent; `None` if it cannot be read: then it is unknown whether the create was sent."""
    fields = _read(_INTENT, data)
    return None if fields is None else CreateIntent(*fields)


def decode_group_id(data: bytes) -> str | None:
    """Return the vendor's id of a group; `None` if it is no text."""
    try:
        return data.decode() or None
    except UnicodeDecodeError:
        return None


def decode_marks(stored: Mapping[bytes, bytes]) -> dict[str, set[int]]:
    """Return the indexes of the settled events of each message, by its tag.

    Unreadable marks are skipped: the whole message is processed again, and its settled commands are found by
    their source and id.
    """
    marks: dict[str, set[int]] = {}
    for tag, data in stored.items():
        indexes = _read(_INDEXES, data)
        if indexes is None:
            log.error("which events of a message are settled cannot be read", tag=repr(tag), bytes=len(data))
        else:
            marks[tag.decode(errors="replace")] = indexes
    return marks


def decode_whole(marks: Mapping[bytes, bytes]) -> tuple[dict[str, int], dict[bytes, bytes]]:
    """Separate the marks of messages whose events are all settled from the other marks.

    Returns their numbers of events, by tag, and the other marks.
    """
    whole = {tag.decode(errors="replace"): int(data) for tag, data in marks.items() if _TOTAL.fullmatch(data)}
    return whole, {tag: data for tag, data in marks.items() if not _TOTAL.fullmatch(data)}


def encode_calls(doubts: Sequence[Doubt], now: float) -> bytes:
    """Return the calls as JSON, each with the milliseconds until it can no longer take effect."""
    return orjson.dumps([_call_in_doubt(doubt, now) for doubt in doubts])


def _call_in_doubt(doubt: Doubt, now: float) -> list[Any]:
    call, left_ms = doubt.call, round(1000 * (doubt.until - now))
    fields = [call.kind.value, call.group_id, left_ms, call.numbers]
    if call.kind is CallKind.RENAME:
        return [*fields, None, call.group_name, call.remark]
    return fields if call.expires_at is None else [*fields, call.expires_at]


def decode_calls(data: bytes, now_ms: int) -> list[Doubt]:
    """Return the calls that may still take effect; their `until` is in seconds from now.

    `data` begins with the epoch, the call's number and the time of the record, each followed by a space. That
    time and `now_ms` are the server's, in milliseconds.
    """
    try:
        _epoch, _call, written_ms, calls = data.split(b" ", 3)
        passed_ms = now_ms - _MS.validate_python(int(written_ms))
        doubts = [
            Doubt(
                Call(
                    kind,
                    tuple(numbers),
                    group_id,
                    expires_at=rest[0] if rest else None,
                    group_name=rest[1] if len(rest) > 1 else None,
                    remark=rest[2] if len(rest) > 1 else None,
                ),
                (left_ms - passed_ms) / 1000,
            )
            for kind, group_id, left_ms, numbers, *rest in _CALLS.validate_json(calls)
        ]
    except ValueError:
        log.error("calls in doubt cannot be read", bytes=len(data))
        return []
    return [doubt for doubt in doubts if doubt.until > 0]


def encode_quarantine(fault: Fault) -> bytes:
    """Return the reason of a group's quarantine as JSON."""
    return orjson.dumps({"code": fault.code, "message": fault.message})


def decode_quarantines(stored: Mapping[bytes, bytes]) -> dict[GroupRef, Fault]:
    """Return the groups in quarantine, and why. A group counts even if its reason cannot be read."""
    return {
        ref: _quarantine(data)
        for field, data in stored.items()
        if (ref := keys.parse_group(field)) is not None
    }


def _quarantine(data: bytes) -> Fault:
    reason = _read(_QUARANTINE, data) or {}
    return Fault(QUARANTINED, reason.get("code"), reason.get("message") or "its group is in quarantine")


def decode_sequence(data: bytes) -> int | None:
    """Return the last sequence; `None` if it is no number: then no command counts as late."""
    try:
        return int(data)
    except ValueError:
        log.error("the last sequence of a group cannot be read", bytes=len(data))
        return None


def decode_entries(
    key: str,
    stored: Iterable[tuple[GroupRef, bytes | None]],
    decode: Callable[[bytes], T | None],
    unreadable: set[GroupRef],
) -> dict[GroupRef, T]:
    """Return the decoded values by group; groups with unreadable values are logged and added to
    `unreadable`."""
    known: dict[GroupRef, T] = {}
    for ref, data in stored:
        if data is None:
            continue
        value = decode(data)
        if value is None:
            unreadable.add(ref)
            log.error(
                "an entry of the ledger cannot be read: the group's commands fail until that is mended",
                key=key,
                account=ref.account,
                group=None if ref.kind is HandleKind.OWN else ref.name,
                bytes=len(data),
            )
        else:
            known[ref] = value
    return known


def decode_partitions(data: bytes | str) -> int:
    """Return the number of partitions. Raises `LedgerUnavailable` if it is no number: an operator must fix
    it."""
    if data.isdigit():
        return int(data)
    raise LedgerUnavailable(f"the key {keys.PARTITIONS} holds no number: set it to the number of partitions")


def _read(what: TypeAdapter[T], data: bytes) -> T | None:
    try:
        return what.validate_json(data, strict=True)
    except ValidationError:
        return None
