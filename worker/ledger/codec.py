"""How records, intents and calls in doubt are written in the ledger: compact JSON arrays."""

from collections.abc import Sequence
from typing import Any

import orjson

from contracts.results import Status
from worker.engine.doubt import Doubt
from worker.engine.model import Call, CallKind, CreateIntent, Fault, Record
from worker.telemetry import get_logger

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
    try:
        return _record(data)
    except (ValueError, TypeError, IndexError):
        log.error("a record of a settled command cannot be read", bytes=len(data))
        return None


def _record(data: bytes) -> Record:
    fingerprint, status, group_id, request_ids, merged, settled_ms, *rest = orjson.loads(data)
    fault: Any = Fault(*rest[0]) if rest else None
    letter = rest[1] if rest else None
    return Record(
        fingerprint, Status(status), group_id, tuple(request_ids), merged, fault, letter, settled_ms / 1000
    )


def encode_intent(intent: CreateIntent) -> bytes:
    return orjson.dumps([intent.marker, intent.name, intent.numbers_digest, intent.settled_after])


def decode_intent(data: bytes) -> CreateIntent:
    return CreateIntent(*orjson.loads(data))


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
        _epoch, _call, written_ms, calls = data.split(b" ", 3)
        passed_ms = now_ms - int(written_ms)
        doubts = [
            Doubt(Call(CallKind(kind), tuple(numbers), group_id), (left_ms - passed_ms) / 1000)
            for kind, group_id, left_ms, numbers in orjson.loads(calls)
        ]
    except (ValueError, TypeError):
        log.error("calls in doubt cannot be read", bytes=len(data))
        return []
    return [doubt for doubt in doubts if doubt.until > 0]
