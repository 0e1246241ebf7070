"""Letters: what is written of what could not succeed, so that people can see, mend and replay it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from numbergroup.engine.commands import Fault, GroupRef, HandleKind, Origin, Refusal, Verdict
from numbergroup.engine.decoding.lenient_decode import split_array
from numbergroup.engine.records import dead_letter_id, format_time
from numbergroup.engine.replays import Replay, RetryHistory
from numbergroup_contracts.dead_letters import MAX_HISTORY, fingerprint, shape


@dataclass(slots=True, frozen=True)
class DeadLetterRecord:
    """A dead letter: its description (JSON, `contracts.DeadLetter`) and the bytes as they arrived.

    `shape` (JSON) says what letters of one `fingerprint` have in common. `place` is the letter's among what
    its unit settles; of one that was tried again the `order` stays what it was, and so does the `original`
    of one that was edited.
    """

    id: str
    description: bytes
    body: bytes
    fingerprint: str = ""
    shape: bytes = b"{}"
    group: GroupRef | None = None
    place: int = 0
    order: int | None = None
    original: bytes | None = None


def build_dead_letter(verdict: Verdict, now: float, place: int) -> DeadLetterRecord:
    """The letter of a command that ended with a fault."""
    command = verdict.command
    assert verdict.fault is not None
    named = command.group.kind is not HandleKind.OWN
    origin = command.origins[0]
    body = origin.entry.body
    if origin.entry.is_array:
        body = _events(body)[origin.index]
    # It may have joined one that was waiting, or the other way round: what is known of either is kept.
    replayed = (one.entry.replay for one in command.origins if one.entry.replay is not None)
    return _letter(
        origin,
        now,
        verdict.fault,
        {"id": command.key.id, "source": command.key.source, "type": command.type},
        command.group.account,
        command.group if named else None,
        body,
        place,
        RetryHistory(next(replayed, None)) if command.retry_history is None else command.retry_history,
        verdict.request_ids,
    )


def build_refusal_dead_letter(refusal: Refusal, now: float, place: int) -> DeadLetterRecord:
    """The letter of what could not be taken for a command."""
    key = refusal.key
    return _letter(
        refusal.origin,
        now,
        Fault(refusal.kind, None, refusal.message),
        None if key is None else {"id": key.id, "source": key.source, "type": refusal.type},
        refusal.account,
        refusal.group,
        refusal.body,
        place,
        RetryHistory(refusal.origin.entry.replay),
    )


@lru_cache(maxsize=1)
def _events(body: bytes) -> list[bytes]:
    """The events of an array as they arrived; its letters are written one after the other."""
    return split_array(body)[0]


def _letter(
    origin: Origin,
    now: float,
    fault: Fault,
    command: dict[str, Any] | None,
    account: str | None,
    group: GroupRef | None,
    body: bytes,
    place: int,
    past: RetryHistory,
    request_ids: Sequence[str] = (),
) -> DeadLetterRecord:
    letter_id, entry, replay = dead_letter_id(origin), origin.entry, past.replay
    alike = fingerprint(fault.kind, fault.code, fault.message)
    error = {"kind": fault.kind, "code": fault.code, "message": fault.message}
    description = {
        "id": letter_id,
        "time": format_time(now),
        "partition": entry.partition,
        "entry": entry.tag,
        "index": origin.index if entry.is_array else None,
        "error": error,
        "command": command,
        "account": account,
        "group": None if group is None else f"{group.kind}:{group.name}",
        "requestIds": request_ids,
        "fingerprint": alike,
        "attempts": past.attempts + (replay.attempts if replay else 0),
        "firstTime": format_time(_first_time(past, now)),
        "replays": replay.replays if replay else 0,
        "history": _history(replay),
        "via": {
            "listed": entry.from_list,
            "replyTo": origin.reply_to,
            "correlationId": origin.correlation_id,
            "traceparent": origin.traceparent,
        },
    }
    return DeadLetterRecord(
        letter_id,
        orjson.dumps(description),
        body,
        alike,
        orjson.dumps({**error, "message": shape(fault.message)}),
        group,
        place,
        replay.order if replay else None,
        replay.original if replay and not entry.is_array else None,
    )


def _first_time(past: RetryHistory, now: float) -> float:
    if past.replay is not None and past.replay.first_time is not None:
        return past.replay.first_time
    return now if past.first_failed_at is None else past.first_failed_at


def _history(replay: Replay | None) -> list[dict[str, Any]]:
    if replay is None:
        return []
    return [one.model_dump(mode="json") for one in replay.history[-MAX_HISTORY:]]
