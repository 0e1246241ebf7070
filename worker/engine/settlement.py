"""Settling: verdicts become one unit of writing, which the broker's adapter makes durable at once.

What belongs together is in one `Settlement`: the answers, what is remembered for repeats, the dead
letters, and which messages may leave the broker.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import orjson

from contracts.event import MAX_EVENTS_PER_MESSAGE
from contracts.results import RESULT, SOURCE
from worker.engine.messages import Settle
from worker.engine.model import (
    CRASHED,
    CommandKey,
    Entry,
    Fault,
    GroupRef,
    HandleKind,
    Origin,
    Record,
    Refusal,
    SequenceKey,
    Verdict,
)
from worker.engine.outline import elements
from worker.engine.records import (
    DEAD_LETTERED,
    dead_letter_id,
    is_remembered,
    record_of,
    result_id,
    sequence_key,
)


@dataclass(slots=True, frozen=True)
class Reply:
    """One message for a reply queue; `queue` is `None` for the default one.

    `listed`: the command came over a kombu list. `correlation_id`: the reply's own property.
    """

    queue: str | None
    body: bytes
    correlation_id: str | None = None
    listed: bool = False


@dataclass(slots=True, frozen=True)
class Letter:
    """A dead letter: its description (JSON, `contracts.DeadLetter`) and the bytes as they arrived."""

    id: str
    description: bytes
    body: bytes


@dataclass(slots=True)
class Settlement:
    """`done` may leave the broker; of `partial` messages the named indexes are settled by now."""

    partition: int
    replies: list[Reply] = field(default_factory=list)
    records: list[tuple[CommandKey, Record]] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    partial: list[tuple[str, list[int]]] = field(default_factory=list)
    bindings: dict[GroupRef, str | None] = field(default_factory=dict)
    intents_done: list[GroupRef] = field(default_factory=list)
    calls_done: list[tuple[GroupRef, int]] = field(default_factory=list)
    sequences: dict[SequenceKey, int] = field(default_factory=dict)
    attempts_done: list[CommandKey] = field(default_factory=list)
    answered: int = 0


@dataclass(slots=True, frozen=True)
class SettlementBuilder:
    """`reply_queues` are patterns (as in a shell) of the names that a `replyto` may have."""

    reply_queues: Sequence[str] = ()

    def build(self, partition: int, settles: Iterable[Settle], now: float) -> Settlement:
        """One unit from all that is to be settled; `now` (Unix seconds) is when its letters are written.

        Marks the events in their entries as settled: what is built must be written, or forgotten
        together with its entries.
        """
        unit = Settlement(partition)
        lone: list[Reply] = unit.replies
        arrays: dict[tuple[str, str | None], tuple[Entry, list[dict[str, Any]]]] = {}
        touched: dict[str, Entry] = {}
        for settle in settles:
            for verdict in settle.verdicts:
                answer, letter, origins = self._answer(verdict, unit, settle.at, now)
                if isinstance(verdict, Refusal) and verdict.origin.entry.void:
                    continue
                if letter is not None:
                    unit.letters.append(letter)
                for origin in origins:
                    entry = origin.entry
                    if entry.void:
                        continue
                    unit.answered += 1
                    entry.settled.add(origin.index)
                    touched[entry.tag] = entry
                    if answer is None:
                        continue
                    queue, result = self._address(origin, answer)
                    if entry.is_array:
                        arrays.setdefault((entry.tag, queue), (entry, []))[1].append(result)
                    else:
                        lone.append(Reply(queue, orjson.dumps(result), origin.correlation_id, entry.listed))
            unit.bindings.update(settle.bindings)
            unit.intents_done.extend(settle.intents_done)
            unit.calls_done.extend(settle.calls_done)
        for (_, queue), (entry, results) in arrays.items():
            for start in range(0, len(results), MAX_EVENTS_PER_MESSAGE):
                some = results[start : start + MAX_EVENTS_PER_MESSAGE]
                unit.replies.append(Reply(queue, orjson.dumps(some), entry.correlation_id, entry.listed))
        for tag, entry in touched.items():
            if len(entry.settled) >= entry.total:
                unit.done.append(tag)
            else:
                unit.partial.append((tag, sorted(entry.settled)))
        return unit

    def _answer(
        self, verdict: Verdict | Refusal, unit: Settlement, at: float, now: float
    ) -> tuple[dict[str, Any] | None, Letter | None, Sequence[Origin]]:
        if isinstance(verdict, Refusal):
            if verdict.kind == CRASHED and verdict.key is not None:
                # It may be a command that was in a call before.
                unit.attempts_done.append(verdict.key)
            return _refused(verdict, at, now)
        command = verdict.command
        record = verdict.repeat_of
        letter = None
        if record is None:
            record = record_of(verdict, at)
            if verdict.status in DEAD_LETTERED:
                letter = _letter(verdict, now)
            if is_remembered(verdict):
                unit.records.append((command.key, record))
            if command.expires_at is not None and command.arrival:
                unit.attempts_done.append(command.key)
            sequence = sequence_key(command)
            # Only what was accepted counts, and the engine counts it from then on.
            if sequence and command.sequence is not None and command.arrival and not command.stale:
                unit.sequences[sequence] = command.sequence
        ref = command.group
        data: dict[str, Any] = {
            "command": {"id": command.key.id, "source": command.key.source, "type": command.type},
            "status": record.status.value,
            "account": ref.account,
            "groupId": record.group_id,
            "requestIds": record.request_ids,
            "mergedCommands": record.merged,
        }
        if ref.kind is HandleKind.KEY:
            data["groupKey"] = ref.name
        if record.fault is not None:
            data["error"] = _error(record.fault)
        if record.dead_letter_id is not None:
            data["deadLetterId"] = record.dead_letter_id
        if verdict.groups is not None:
            data["groups"] = [
                {"groupId": g.group_id, "groupName": g.name, "remark": g.remark, "phones": g.numbers}
                for g in verdict.groups
            ]
            data["total"] = verdict.total
        variant = command.fingerprint if verdict.conflict else ""
        event = _event(result_id(command.key, variant), record.settled_at, record.group_id, data)
        return event, letter, command.origins

    def _address(self, origin: Origin, event: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        queue = origin.reply_to
        if origin.correlation_id is not None or origin.traceparent is not None:
            event = dict(event)
            if origin.correlation_id is not None:
                event["correlationid"] = origin.correlation_id
            if origin.traceparent is not None:
                event["traceparent"] = origin.traceparent
        if queue is None or any(fnmatchcase(queue, pattern) for pattern in self.reply_queues):
            return queue, event
        # The answer must not vanish, nor be written where a producer has no business to write.
        fault = Fault("invalid", None, "replyto names a queue that the worker's settings do not allow")
        data = {**event["data"]}
        data.setdefault("error", _error(fault))
        return None, {**event, "data": data}


def _refused(
    refusal: Refusal, at: float, now: float
) -> tuple[dict[str, Any] | None, Letter | None, Sequence[Origin]]:
    origin = refusal.origin
    fault = Fault(refusal.kind, None, refusal.message)
    letter_id = dead_letter_id(origin)
    command = None
    if refusal.key is not None:
        command = {"id": refusal.key.id, "source": refusal.key.source, "type": refusal.type}
    letter = Letter(
        letter_id, _description(letter_id, origin, now, fault, command, refusal.account, None), refusal.body
    )
    if refusal.key is None:
        return None, letter, [origin]
    data = {
        "command": command,
        "status": refusal.status.value,
        "account": refusal.account,
        "groupId": None,
        "requestIds": (),
        "mergedCommands": 0,
        "error": _error(fault),
        "deadLetterId": letter_id,
    }
    return _event(result_id(refusal.key, "refused"), at, None, data), letter, [origin]


def _letter(verdict: Verdict, now: float) -> Letter:
    command = verdict.command
    origin = command.origins[0]
    letter_id = dead_letter_id(origin)
    assert verdict.fault is not None
    ref = {"id": command.key.id, "source": command.key.source, "type": command.type}
    group = None if command.group.kind is HandleKind.OWN else f"{command.group.kind}:{command.group.name}"
    description = _description(
        letter_id, origin, now, verdict.fault, ref, command.group.account, group, verdict.request_ids
    )
    body = origin.entry.body
    if origin.entry.is_array:
        body = _events(body)[origin.index]
    return Letter(letter_id, description, body)


@lru_cache(maxsize=1)
def _events(body: bytes) -> list[bytes]:
    """The events of an array as they arrived; its letters are written one after the other."""
    return elements(body)[0]


def _description(
    letter_id: str,
    origin: Origin,
    now: float,
    fault: Fault,
    command: dict[str, Any] | None,
    account: str | None,
    group: str | None,
    request_ids: Sequence[str] = (),
) -> bytes:
    return orjson.dumps(
        {
            "id": letter_id,
            "time": _time(now),
            "partition": origin.entry.partition,
            "entry": origin.entry.tag,
            "index": origin.index if origin.entry.is_array else None,
            "error": _error(fault),
            "command": command,
            "account": account,
            "group": group,
            "requestIds": request_ids,
        }
    )


def _event(event_id: str, at: float, subject: str | None, data: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": RESULT,
        "time": _time(at),
    }
    if subject is not None:
        event["subject"] = subject
    event["data"] = data
    return event


def _error(fault: Fault) -> dict[str, str | None]:
    return {"kind": fault.kind, "code": fault.code, "message": fault.message}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
