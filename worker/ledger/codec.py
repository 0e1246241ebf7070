"""How records, intents, marks and calls in doubt are written in the ledger: compact JSON arrays. Crashes are
for people, too.

Reading raises nothing, whatever is there: what this version cannot read is told in the log.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from contracts.results import Status
from worker.engine.doubt import Doubt
from worker.engine.model import Call, CallKind, CreateIntent, Fault, GroupRef, HandleKind, Record
from worker.engine.probation import History, InHand
from worker.ledger import keys
from worker.ledger.port import LedgerUnavailable
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
_Seconds = Annotated[float, Field(allow_inf_nan=False)]
_INTENT: TypeAdapter[tuple[Any, ...]] = TypeAdapter(
    tuple[_Text, _Text, str, _Seconds] | tuple[_Text, _Text, str, _Seconds, str]
)
_INDEXES = TypeAdapter(set[_Count])
_MS = TypeAdapter(_Ms)
# No longer than settings allow a signature to last, twice.
_CALLS = TypeAdapter(list[tuple[CallKind, _Text, Annotated[int, Field(le=8_000_000)], list[str]]])
_HISTORY = TypeAdapter(History)

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


def encode_calls(doubts: Sequence[Doubt], now: float) -> bytes:
    """Calls, each with the milliseconds that are left to it."""
    return orjson.dumps(
        [
            [one.call.kind.value, one.call.group_id, round(1000 * (one.until - now)), one.call.numbers]
            for one in doubts
        ]
    )


def decode_calls(data: bytes, now_ms: int) -> list[Doubt]:
    """Those that may take effect still, `until` in seconds from now. `data` begins with the epoch, the
    call's number and when it was written (the server's milliseconds, as `now_ms`), each followed by a
    space."""
    try:
        _epoch, _call, written_ms, said = data.split(b" ", 3)
        passed_ms = now_ms - _MS.validate_python(int(written_ms))
        doubts = [
            Doubt(Call(kind, tuple(numbers), group_id), (left_ms - passed_ms) / 1000)
            for kind, group_id, left_ms, numbers in _CALLS.validate_json(said)
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
    return orjson.dumps([in_hand.fresh, in_hand.lived_with, in_hand.elsewhere])


def decode_in_hand(data: bytes | None) -> InHand:
    """What was in hand; nothing for none, and for what this version cannot read."""
    try:
        fresh, lived_with, elsewhere = orjson.loads(data) if data else ((), (), False)
        return InHand(tuple(map(str, fresh)), tuple(map(str, lived_with)), bool(elsewhere))
    except (ValueError, TypeError):
        log.error("what is noted of messages in hand cannot be read: it is forgotten")
        return InHand()


def decode_sequence(data: bytes) -> int | None:
    """`None` for what is no number: no command is held for late because of it."""
    try:
        return int(data)
    except ValueError:
        log.error("the last sequence of a group cannot be read", bytes=len(data))
        return None


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
