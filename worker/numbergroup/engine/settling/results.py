"""Encodes result events. What the results of one unit have in common is encoded once.

To encode each result as a whole took a third of the worker's time per command.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from numbergroup.engine.calls import Group
from numbergroup.engine.commands import CommandKey, GroupRef, HandleKind, Origin, build_tuple
from numbergroup.engine.records import format_time, replay_variant, variant_event_id
from numbergroup.engine.verdicts import Fault, Record, Refusal, Verdict
from numbergroup_contracts.results import RESULT, SOURCE

_NOT_ALLOWED = Fault("invalid", None, "replyto names a queue that the worker's settings do not allow")


class Answer(NamedTuple):
    """A result event in encoded parts.

    `attributes`: the members between the event's id and its data. `rest`: everything after the command's id.
    Both begin with a comma.
    """

    event_id: str
    command_id: str
    attributes: bytes
    rest: bytes


@dataclass(slots=True)
class Answers:
    """Builds the answers of one unit. `reply_queues`: shell patterns of the names that `replyto` may have."""

    reply_queues: Sequence[str]
    _cache: dict[tuple[Any, ...], tuple[bytes, bytes]] = field(init=False, default_factory=dict)
    _last_key: tuple[Any, ...] = field(init=False, default=())
    _last_parts: tuple[bytes, bytes] = field(init=False, default=(b"", b""))

    def build(self, verdict: Verdict, record: Record) -> Answer:
        """Return the answer to a command, from its `record`, which is an earlier one if it is a repeat."""
        command = verdict.command
        ref, (source, command_id), kind = command.group, command.key, command.type
        if verdict.groups is not None or record.fault is not None or record.rejected or record.vendor:
            outcome = _outcome(record, ref, verdict.groups, verdict.total)
            attributes = _encode_attributes(record.settled_at, record.group_id)
            rest = _encode_rest(source, kind, outcome)
        else:
            cache_key = (record[1:], ref, source, kind)
            # Consecutive answers mostly have the same key, and a comparison is faster than a look-up.
            if cache_key != self._last_key:
                parts = self._cache.get(cache_key)
                if parts is None:
                    parts = self._cache[cache_key] = (
                        _encode_attributes(record.settled_at, record.group_id),
                        _encode_rest(source, kind, _outcome(record, ref)),
                    )
                self._last_key, self._last_parts = cache_key, parts
            attributes, rest = self._last_parts
        event_id = command.digest
        if verdict.conflict or record.replays:
            variant = command.fingerprint if verdict.conflict else replay_variant(record.replays)
            event_id = variant_event_id(command.key, variant)
        elif verdict.groups is not None:
            # A repeated list may find other groups, so its event id depends on the content.
            event_id = variant_event_id(command.key, _digest(attributes + rest))
        return build_tuple(Answer, (event_id, command_id, attributes, rest))

    def build_for_refusal(
        self, refusal: Refusal, key: CommandKey, settled_at: float, dead_letter_id: str
    ) -> Answer:
        """Return the answer to an event that is no valid command. `settled_at` is in Unix seconds."""
        outcome = {
            "status": refusal.status.value,
            "account": refusal.account,
            "groupId": None,
            "requestIds": (),
            "mergedCommands": 0,
            "error": encode_fault(Fault(refusal.kind, None, refusal.message)),
            "deadLetterId": dead_letter_id,
        }
        # Refusals are not remembered. Several messages with one key may be refused, each for its own reason.
        reason = f"{refusal.kind}\0{refusal.message}".encode(errors="replace")
        return Answer(
            variant_event_id(key, f"refused {_digest(reason)}"),
            key.id,
            _encode_attributes(settled_at, None),
            _encode_rest(key.source, refusal.type, outcome),
        )

    def render(self, answer: Answer, origin: Origin) -> tuple[str | None, bytes]:
        """Return the reply queue (`None`: the default one), and the encoded event for it."""
        event_id, command_id, attributes, rest = answer
        if origin.correlation_id is not None:
            attributes += _encode_members({"correlationid": origin.correlation_id})
        if origin.traceparent is not None:
            attributes += _encode_members({"traceparent": origin.traceparent})
        queue = origin.reply_to
        body = b'{"specversion":"1.0","id":"%b"%b,"data":{"command":{"id":%b%b' % (
            event_id.encode(),
            attributes,
            orjson.dumps(command_id),
            rest,
        )
        if queue is None or any(fnmatchcase(queue, pattern) for pattern in self.reply_queues):
            return queue, body
        # The queue is not allowed: the answer goes to the default queue, so that it is not lost.
        event = orjson.loads(body)
        event["data"].setdefault("error", encode_fault(_NOT_ALLOWED))
        return None, orjson.dumps(event)


def _encode_attributes(settled_at: float, group_id: str | None) -> bytes:
    attributes = {"source": SOURCE, "type": RESULT, "time": format_time(settled_at)}
    return _encode_members(attributes if group_id is None else {**attributes, "subject": group_id})


def _encode_rest(source: str, kind: str | None, outcome: dict[str, Any]) -> bytes:
    return b"%b}%b}}" % (_encode_members({"source": source, "type": kind}), _encode_members(outcome))


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
        members["error"] = encode_fault(record.fault)
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
    """Return the group as in results and exports (`contracts.results.ListedGroup`)."""
    members: dict[str, Any] = {
        "groupId": group.group_id,
        "groupName": group.name,
        "remark": group.remark,
        "phones": group.numbers,
    }
    return members if group.customer_id is None else members | {"customerId": group.customer_id}


def _encode_members(members: dict[str, Any]) -> bytes:
    """Return the members of a JSON object without its braces, after a comma."""
    return b"," + orjson.dumps(members)[1:-1]


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=12).hexdigest()


def encode_fault(fault: Fault) -> dict[str, str | None]:
    """Return the fault as the `error` of a result."""
    return {"kind": fault.kind, "code": fault.code, "message": fault.message}
