"""Answers as bytes: result events, of which whatever those of one unit share is encoded once.

To encode each as a whole took a third of all that the worker does for a command.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from numbergroup.engine.commands import (
    CommandKey,
    Fault,
    Group,
    GroupRef,
    HandleKind,
    Origin,
    Record,
    Refusal,
    Verdict,
    build_tuple,
)
from numbergroup.engine.records import format_time, replay_variant, variant_event_id
from numbergroup_contracts.results import RESULT, SOURCE

_NOT_ALLOWED = Fault("invalid", None, "replyto names a queue that the worker's settings do not allow")


class Answer(NamedTuple):
    """A result event in parts: `name` is its id, `command` that of the command, `about` has the attributes
    between them, and `rest` is whatever follows. Both begin with a comma."""

    event_id: str
    command_id: str
    attributes: bytes
    rest: bytes


@dataclass(slots=True)
class Answers:
    """Those of one unit. `reply_queues` are patterns (as in a shell) of the names that a `replyto` may
    have."""

    reply_queues: Sequence[str]
    _shared: dict[tuple[Any, ...], tuple[bytes, bytes]] = field(init=False, default_factory=dict)
    _said: tuple[Any, ...] = field(init=False, default=())
    _parts: tuple[bytes, bytes] = field(init=False, default=(b"", b""))

    def build(self, verdict: Verdict, record: Record) -> Answer:
        """The answer to a command: its own verdict's, or what is on record of it."""
        command = verdict.command
        ref, (source, command_id), kind = command.group, command.key, command.type
        if verdict.groups is not None or record.fault is not None or record.rejected or record.vendor:
            outcome = _outcome(record, ref, verdict.groups, verdict.total)
            about, rest = _about(record.settled_at, record.group_id), _rest(source, kind, outcome)
        else:
            said = (record[1:], ref, source, kind)
            # The last one's, most of the time: to compare is faster than to look it up.
            if said != self._said:
                found = self._shared.get(said)
                if found is None:
                    about = _about(record.settled_at, record.group_id)
                    found = self._shared[said] = about, _rest(source, kind, _outcome(record, ref))
                self._said, self._parts = said, found
            about, rest = self._parts
        name = command.digest
        if verdict.conflict or record.replays:
            variant = command.fingerprint if verdict.conflict else replay_variant(record.replays)
            name = variant_event_id(command.key, variant)
        elif verdict.groups is not None:
            # A list that is made again may find other groups: no two of them share an event id.
            name = variant_event_id(command.key, _digest(about + rest))
        return build_tuple(Answer, (name, command_id, about, rest))

    def build_for_refusal(self, refusal: Refusal, key: CommandKey, at: float, letter_id: str) -> Answer:
        """The answer to what intake could not take for a command."""
        outcome = {
            "status": refusal.status.value,
            "account": refusal.account,
            "groupId": None,
            "requestIds": (),
            "mergedCommands": 0,
            "error": _error(Fault(refusal.kind, None, refusal.message)),
            "deadLetterId": letter_id,
        }
        # What is refused is not remembered: several messages under one key may be, each for its own reason.
        reason = f"{refusal.kind}\0{refusal.message}".encode(errors="replace")
        name, rest = (
            variant_event_id(key, f"refused {_digest(reason)}"),
            _rest(key.source, refusal.type, outcome),
        )
        return Answer(name, key.id, _about(at, None), rest)

    def render(self, answer: Answer, origin: Origin) -> tuple[str | None, bytes]:
        """Where it goes, and the event with the attributes that its command asked for."""
        name, command, about, rest = answer
        if origin.correlation_id is not None:
            about += _tail({"correlationid": origin.correlation_id})
        if origin.traceparent is not None:
            about += _tail({"traceparent": origin.traceparent})
        queue = origin.reply_to
        body = b'{"specversion":"1.0","id":"%b"%b,"data":{"command":{"id":%b%b' % (
            name.encode(),
            about,
            orjson.dumps(command),
            rest,
        )
        if queue is None or any(fnmatchcase(queue, pattern) for pattern in self.reply_queues):
            return queue, body
        # The answer must not vanish, nor be written where a producer has no business to write.
        event = orjson.loads(body)
        event["data"].setdefault("error", _error(_NOT_ALLOWED))
        return None, orjson.dumps(event)


def _about(at: float, group_id: str | None) -> bytes:
    said = {"source": SOURCE, "type": RESULT, "time": format_time(at)}
    return _tail(said if group_id is None else {**said, "subject": group_id})


def _rest(source: str, kind: str | None, outcome: dict[str, Any]) -> bytes:
    return b"%b}%b}}" % (_tail({"source": source, "type": kind}), _tail(outcome))


def _outcome(
    record: Record, ref: GroupRef, groups: Sequence[Group] | None = None, total: int | None = None
) -> dict[str, Any]:
    members: dict[str, Any] = {
        "status": record.status.value,
        "account": ref.account,
        "groupId": record.group_id,
        "requestIds": record.request_ids,
        "mergedCommands": record.merged,
    }
    if ref.kind is HandleKind.KEY:
        members["groupKey"] = ref.name
    if record.fault is not None:
        members["error"] = _error(record.fault)
    if record.dead_letter_id is not None:
        members["deadLetterId"] = record.dead_letter_id
    if record.rejected:
        members["rejectedNumbers"] = record.rejected
    if record.vendor is not None:
        members["vendor"] = orjson.Fragment(record.vendor)
    if groups is not None:
        members["groups"] = list(map(describe_group, groups))
        members["total"] = total
    return members


def describe_group(group: Group) -> dict[str, Any]:
    """A group as results and exports have it (`contracts.results.ListedGroup`)."""
    members: dict[str, Any] = {
        "groupId": group.group_id,
        "groupName": group.name,
        "remark": group.remark,
        "phones": group.numbers,
    }
    return members if group.customer_id is None else members | {"customerId": group.customer_id}


def _tail(members: dict[str, Any]) -> bytes:
    """The members of a JSON object, to follow others."""
    return b"," + orjson.dumps(members)[1:-1]


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=12).hexdigest()


def _error(fault: Fault) -> dict[str, str | None]:
    return {"kind": fault.kind, "code": fault.code, "message": fault.message}
