"""Builds the dead letters of commands and messages that failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from numbergroup.engine.commands import GroupRef, HandleKind, Origin
from numbergroup.engine.decoding.json_scanner import split_array
from numbergroup.engine.records import dead_letter_id, format_time
from numbergroup.engine.replays import Replay, RetryHistory
from numbergroup.engine.verdicts import Fault, Refusal, Verdict
from numbergroup_contracts.dead_letters import MAX_HISTORY, fingerprint, shape


@dataclass(slots=True, frozen=True)
class DeadLetterRecord:
    """A dead letter: its description (JSON, `contracts.DeadLetter`) and the bytes as they arrived.

    - `shape`: what the dead letters of one `fingerprint` have in common (JSON).
    - `position`: its position in the unit that settles it.
    - `order`: the order of the replayed dead letter, if it is one; it stays the same.
    - `original`: the bytes as they first arrived, if an operator edited them.
    """

    id: str
    description: bytes
    body: bytes
    fingerprint: str = ""
    shape: bytes = b"{}"
    group: GroupRef | None = None
    position: int = 0
    order: int | None = None
    original: bytes | None = None


def build_dead_letter(verdict: Verdict, now: float, position: int) -> DeadLetterRecord:
    """Return the dead letter of a command that ended with a fault. `now` is in Unix seconds."""
    command = verdict.command
    assert verdict.fault is not None
    has_handle = command.group.kind is not HandleKind.OWN
    origin = command.origins[0]
    body = origin.entry.body
    if origin.entry.is_array:
        body = _split_events(body)[origin.index]
    # The replayed command and its repeat may have become one command: the history of either is kept.
    replays = [origin.entry.replay for origin in command.origins if origin.entry.replay is not None]
    history = command.retry_history or RetryHistory(replays[0] if replays else None)
    return _build(
        origin,
        verdict.fault,
        now=now,
        position=position,
        command={"id": command.key.id, "source": command.key.source, "type": command.type},
        account=command.group.account,
        group=command.group if has_handle else None,
        body=body,
        history=history,
        request_ids=verdict.request_ids,
    )


def build_refusal_dead_letter(refusal: Refusal, now: float, position: int) -> DeadLetterRecord:
    """Return the dead letter of an event that is no valid command. `now` is in Unix seconds."""
    key = refusal.key
    return _build(
        refusal.origin,
        Fault(refusal.kind, None, refusal.message),
        now=now,
        position=position,
        command=None if key is None else {"id": key.id, "source": key.source, "type": refusal.type},
        account=refusal.account,
        group=refusal.group,
        body=refusal.body,
        history=RetryHistory(refusal.origin.entry.replay),
    )


@lru_cache(maxsize=1)
def _split_events(body: bytes) -> list[bytes]:
    """Return the events of an array. Cached, because its dead letters are built one after the other."""
    return split_array(body)[0]


def _build(
    origin: Origin,
    fault: Fault,
    *,
    now: float,
    position: int,
    command: dict[str, Any] | None,
    account: str | None,
    group: GroupRef | None,
    body: bytes,
    history: RetryHistory,
    request_ids: Sequence[str] = (),
) -> DeadLetterRecord:
    letter_id, entry, replay = dead_letter_id(origin), origin.entry, history.replay
    error_fingerprint = fingerprint(fault.kind, fault.code, fault.message)
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
        "fingerprint": error_fingerprint,
        "attempts": history.attempts + (replay.attempts if replay else 0),
        "firstTime": format_time(_first_failed_at(history, now)),
        "replays": replay.replays if replay else 0,
        "history": _encode_history(replay),
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
        fingerprint=error_fingerprint,
        shape=orjson.dumps({**error, "message": shape(fault.message)}),
        group=group,
        position=position,
        order=replay.order if replay else None,
        original=replay.original if replay and not entry.is_array else None,
    )


def _first_failed_at(history: RetryHistory, now: float) -> float:
    if history.replay is not None and history.replay.first_time is not None:
        return history.replay.first_time
    return now if history.first_failed_at is None else history.first_failed_at


def _encode_history(replay: Replay | None) -> list[dict[str, Any]]:
    if replay is None:
        return []
    return [failure.model_dump(mode="json") for failure in replay.history[-MAX_HISTORY:]]
