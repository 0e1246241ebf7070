"""How records, intents, marks and calls in doubt are written in the ledger: compact JSON arrays. Crashes are
for people, too.

Reading raises nothing, whatever is there: what this version cannot read is told in the log.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from numbergroup.engine.commands import (
    QUARANTINED,
    Call,
    CallKind,
    Command,
    CreateIntent,
    Fault,
    GroupRef,
    HandleKind,
    Record,
)
from numbergroup.engine.doubt import Doubt
from numbergroup.engine.partition.poison_detection import History, InHand, Step
from numbergroup.engine.replays import LaterWrites, Replay
from numbergroup.ledger import keys
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability.logging import get_logger
from numbergroup_contracts import dead_letters as contract
from numbergroup_contracts.results import Status, VendorDetails

T = TypeVar("T")
# What JSON carries safely, and so what a result can say.
_Count = Annotated[int, Field(ge=0, le=2**53)]
# Up to the end of the year 9999: what a result can say as its time.
_Ms = Annotated[int, Field(ge=0, le=253_402_300_799_999)]
_Text = str | None
_Fault = tuple[str, _Text, str]

_RECORD_HEAD: Any = (str, Status, _Text, list[str], _Count, _Ms)
# After the head, in this order, what the record has of: the fault and the letter, how often it was replayed,
# the numbers that the vendor did not take, and what else the vendor said.
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
# No longer than settings allow a signature to last, twice.
_Left = Annotated[int, Field(le=8_000_000)]
_CALLS: TypeAdapter[list[tuple[Any, ...]]] = TypeAdapter(
    list[
        tuple[CallKind, _Text, _Left, list[str]]
        | tuple[CallKind, _Text, _Left, list[str], _Seconds]
        # A rename's texts.
        | tuple[CallKind, _Text, _Left, list[str], None, _Text, _Text]
    ]
)
_HISTORY = TypeAdapter(History)
_IN_HAND: TypeAdapter[tuple[Step | None, tuple[str, ...], int]] = TypeAdapter(
    tuple[Step | None, tuple[str, ...], int]
)
_QUARANTINE = TypeAdapter(dict[str, _Text])
_TOTAL = re.compile(rb"[0-9]{1,7}")
# No longer than what counts exactly.
_DECIDED = re.compile(rb"([+-]?)([0-9]{1,15})")

log = get_logger("ledger")


def encode_record(record: Record) -> bytes:
    mark, status, group_id, request_ids, merged, fault, letter, settled_at, replays, rejected, vendor = record
    said: list[Any] = [mark, status.value, group_id, request_ids, merged, round(settled_at * 1000)]
    if fault is not None:
        said += ([fault.kind, fault.code, fault.message], letter)
    if replays:
        said.append(replays)
    if rejected:
        said.append(rejected)
    if vendor is not None:
        said.append(orjson.Fragment(vendor))
    return orjson.dumps(said)


def encode_records(records: Iterable[tuple[Command, Record]]) -> list[str]:
    """The key and the value of each record in turn; what those of one batch share is encoded once."""
    said: list[str] = []
    shared: tuple[Any, ...] = ()
    rest = ""
    for command, record in records:
        others = record[1:]
        if others != shared:
            whole, shared = encode_record(record), others
            rest = whole[whole.index(b",") :].decode()
        said += (keys.settled(command.digest), f'["{record[0]}"{rest}')
    return said


def decode_record(data: bytes) -> Record | None:
    """The record; `None` for what this version cannot read, which then counts as never settled."""
    found = _read(_RECORD, data)
    if found is None:
        log.error("a record of a settled command cannot be read", bytes=len(data))
        return None
    fingerprint, status, group_id, request_ids, merged, settled_ms, *rest = found
    vendor = rest.pop() if rest and isinstance(rest[-1], VendorDetails) else None
    rejected = rest.pop() if rest and isinstance(rest[-1], list) else ()
    replays = rest.pop() if len(rest) % 2 else 0
    fault = Fault(*rest[0]) if rest else None
    letter = rest[1] if rest else None
    said = (fingerprint, status, group_id, tuple(request_ids), merged, fault, letter)
    details = None if vendor is None else orjson.dumps(vendor.model_dump(exclude_none=True))
    return Record(*said, settled_ms / 1000, replays, tuple(rejected), details)


def encode_intent(intent: CreateIntent) -> bytes:
    said = [intent.marker, intent.name, intent.numbers_digest, intent.settled_after]
    return orjson.dumps(said if intent.group_id is None else [*said, intent.group_id])


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


def decode_whole(found: Mapping[bytes, bytes]) -> tuple[dict[str, int], dict[bytes, bytes]]:
    """By the messages' tags, how many events each has whose events are all settled; and the other marks."""
    whole = {tag.decode(errors="replace"): int(data) for tag, data in found.items() if _TOTAL.fullmatch(data)}
    return whole, {tag: data for tag, data in found.items() if not _TOTAL.fullmatch(data)}


def encode_calls(doubts: Sequence[Doubt], now: float) -> bytes:
    """Calls, each with the milliseconds that are left to it."""
    return orjson.dumps([_call_in_doubt(one, now) for one in doubts])


def _call_in_doubt(doubt: Doubt, now: float) -> list[Any]:
    call, left_ms = doubt.call, round(1000 * (doubt.until - now))
    said = [call.kind.value, call.group_id, left_ms, call.numbers]
    if call.kind is CallKind.RENAME:
        return [*said, None, call.group_name, call.remark]
    return said if call.expires_at is None else [*said, call.expires_at]


def decode_calls(data: bytes, now_ms: int) -> list[Doubt]:
    """Those that may take effect still, `until` in seconds from now. `data` begins with the epoch, the
    call's number and when it was written (the server's milliseconds, as `now_ms`), each followed by a
    space."""
    try:
        _epoch, _call, written_ms, said = data.split(b" ", 3)
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
            for kind, group_id, left_ms, numbers, *rest in _CALLS.validate_json(said)
        ]
    except ValueError:
        log.error("calls in doubt cannot be read", bytes=len(data))
        return []
    return [doubt for doubt in doubts if doubt.until > 0]


def encode_history(history: History) -> bytes:
    return orjson.dumps(history)


def decode_history(data: bytes | None) -> History:
    """The history; an empty one for none, and for what this version cannot read."""
    if data is None:
        return History()
    history = _read(_HISTORY, data)
    if history is None:
        log.error("what is noted of crashes cannot be read: it is forgotten")
    return history or History()


def encode_in_hand(in_hand: InHand) -> bytes:
    return orjson.dumps([in_hand.step, in_hand.digests, in_hand.place])


def decode_in_hand(data: bytes | None) -> InHand:
    """What was in hand; nothing for none, and for what this version cannot read."""
    try:
        return InHand(*_IN_HAND.validate_json(data)) if data else InHand()
    except ValidationError:
        log.error("what is noted of messages in hand cannot be read: it is forgotten")
        return InHand()


def encode_quarantine(fault: Fault) -> bytes:
    return orjson.dumps({"code": fault.code, "message": fault.message})


def decode_quarantines(found: Mapping[bytes, bytes]) -> dict[GroupRef, Fault]:
    """Which groups' commands are put away, and why. Whatever is said of a group: they are."""
    return {ref: _quarantine(data) for field, data in found.items() if (ref := keys.group(field)) is not None}


def _quarantine(data: bytes) -> Fault:
    said = _read(_QUARANTINE, data) or {}
    return Fault(QUARANTINED, said.get("code"), said.get("message") or "its group is in quarantine")


def decode_sequence(data: bytes) -> int | None:
    """`None` for what is no number: no command is held for late because of it."""
    try:
        return int(data)
    except ValueError:
        log.error("the last sequence of a group cannot be read", bytes=len(data))
        return None


def decode_since(key: str, found: Mapping[bytes, bytes | None]) -> LaterWrites:
    """What was decided of a group since. What cannot be read decides nothing."""
    since = LaterWrites()
    for field, data in found.items():
        if data is None:
            continue
        said = _DECIDED.fullmatch(data)
        if said is None:
            log.error("what was decided of a number cannot be read", key=key, bytes=len(data))
        elif field == keys.EVERYTHING.encode():
            since.take(int(said[2]), ())
        else:
            since.take(-1, [(field.decode(errors="replace"), said[1] == b"+", int(said[2]))])
    return since


def decode_replay(data: bytes, original: bytes | None) -> Replay | None:
    """What is noted of a letter that is tried again; `None` for what this version cannot read."""
    try:
        said = contract.Replay.model_validate_json(data)
    except ValidationError:
        return None
    return Replay(
        said.letter,
        said.replays,
        said.order,
        said.group,
        None if said.firstTime is None else said.firstTime.timestamp(),
        said.attempts,
        tuple(said.history),
        said.force,
        said.via,
        original,
    )


def decode_entries(
    key: str,
    found: Iterable[tuple[GroupRef, bytes | None]],
    decode: Callable[[bytes], T | None],
    unreadable: set[GroupRef],
) -> dict[GroupRef, T]:
    """What is known by group; of what cannot be read the groups go into `unreadable`, and into the log."""
    known: dict[GroupRef, T] = {}
    for ref, data in found:
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
    """How many partitions there are. What is no number may pass: somebody has to put it right."""
    if data.isdigit():
        return int(data)
    raise LedgerUnavailable(f"the key {keys.PARTITIONS} holds no number: set it to the number of partitions")


def _read(what: TypeAdapter[T], data: bytes) -> T | None:
    try:
        return what.validate_json(data, strict=True)
    except ValidationError:
        return None
