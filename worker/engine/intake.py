"""Intake: bytes become commands or refusals. Nothing that other programs send makes it raise.

What has a readable `(source, id)` can be answered; what has not is kept as a dead letter with its
raw bytes. An array with bad events among good ones gives the good ones through.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from contracts.commands import (
    BATCH_ADAPTER,
    COMMAND_ADAPTER,
    AnyCommand,
    CreateGroup,
    ListGroups,
    UpdateGroup,
)
from contracts.event import MAX_EVENTS_PER_MESSAGE
from worker.engine.model import Command, CommandKey, CommandKind, Entry, GroupRef, HandleKind, Origin, Refusal

DEFAULT_ACCOUNT = "default"
_UPDATES = {"add": CommandKind.ADD, "delete": CommandKind.DELETE, "replace": CommandKind.REPLACE}
_PEEK = 65_536
_ERRORS_SHOWN = 3


@dataclass(slots=True, frozen=True)
class Intake:
    """`max_bytes`: what a message may have; a larger one is refused without being parsed whole."""

    max_bytes: int = 1_048_576

    def read(
        self, entry: Entry, reply_to: str | None = None, correlation_id: str | None = None
    ) -> list[Command | Refusal]:
        """The commands of one message in order, without those that `entry.settled` names.

        Fills in `entry.is_array` and `entry.total`. The arguments are properties of the message
        itself, for brokers that have such; an attribute of the event goes before them.
        """
        body = entry.body
        if len(body) > self.max_bytes:
            message = f"the message has {len(body)} bytes, the limit is {self.max_bytes}"
            return [_refusal(_peek(body), entry, 0, message, body)]
        # RFC 8259 has no NaN and no Infinity, the parser does: let the strict one see such bodies.
        suspicious = b"NaN" in body or b"Infinity" in body
        entry.is_array = body.lstrip(b" \t\r\n")[:1] == b"["
        try:
            if suspicious:
                raise ValueError
            if not entry.is_array:
                return [_command(COMMAND_ADAPTER.validate_json(body), entry, 0, reply_to, correlation_id)]
            events = BATCH_ADAPTER.validate_json(body)
        except (ValueError, RecursionError):
            return self._one_by_one(entry, reply_to, correlation_id)
        entry.total = len(events)
        if not events:
            return self._one_by_one(entry, reply_to, correlation_id)
        return [
            _command(event, entry, index, reply_to, correlation_id)
            for index, event in enumerate(events)
            if index not in entry.settled
        ]

    def _one_by_one(
        self, entry: Entry, reply_to: str | None, correlation_id: str | None
    ) -> list[Command | Refusal]:
        body = entry.body
        try:
            value = from_json(body, allow_inf_nan=False, cache_strings=False)
        except (ValueError, RecursionError) as error:
            entry.is_array, entry.total = False, 1
            return [_refusal(None, entry, 0, f"not JSON: {error}", body)]
        if not isinstance(value, list):
            return [_event(value, entry, 0, body, reply_to, correlation_id)]
        if not value or len(value) > MAX_EVENTS_PER_MESSAGE:
            entry.total = max(1, len(value))
            message = f"an array of {len(value)} events; 1 to {MAX_EVENTS_PER_MESSAGE} are allowed"
            if not value:
                return [_refusal(None, entry, 0, message, body)]
            return [_refusal(one, entry, index, message, _raw(one)) for index, one in enumerate(value)]
        entry.total = len(value)
        return [
            _event(one, entry, index, _raw(one), reply_to, correlation_id)
            for index, one in enumerate(value)
            if index not in entry.settled
        ]


def _event(
    value: Any, entry: Entry, index: int, raw: bytes, reply_to: str | None, correlation_id: str | None
) -> Command | Refusal:
    try:
        event = COMMAND_ADAPTER.validate_json(raw)
    except ValidationError as error:
        return _refusal(value, entry, index, _explain(error), raw)
    return _command(event, entry, index, reply_to, correlation_id)


def _command(
    event: AnyCommand, entry: Entry, index: int, reply_to: str | None, correlation_id: str | None
) -> Command:
    account = event.account or DEFAULT_ACCOUNT
    key = CommandKey(event.source, event.id)
    origin = Origin(
        entry, index, event.replyto or reply_to, event.correlationid or correlation_id, event.traceparent
    )
    expires = event.expirytime.timestamp() if event.expirytime else None
    if isinstance(event, UpdateGroup):
        kind, numbers = _UPDATES[event.data.operation], event.data.numbers
        group = _group(account, event.data.groupKey, event.data.groupId)
        until = event.data.expiresAt.timestamp() if event.data.expiresAt else None
        mark = _fingerprint(kind, group, numbers, until)
        return Command(key, event.type, kind, group, numbers, mark, [origin], expires, until)
    if isinstance(event, CreateGroup):
        numbers, name, remark = event.data.numbers, event.data.groupName, event.data.remark
        group = _group(account, event.data.groupKey, None, own=key)
        mark = _fingerprint(CommandKind.CREATE, group, numbers, name, remark)
        return Command(
            key, event.type, CommandKind.CREATE, group, numbers, mark, [origin], expires, None, name, remark
        )
    if isinstance(event, ListGroups):
        limit, offset = event.data.limit, event.data.offset
        group = _group(account, None, None, own=key)
        mark = _fingerprint(CommandKind.LIST, group, (), limit, offset)
        command = Command(key, event.type, CommandKind.LIST, group, (), mark, [origin], expires)
        command.limit, command.offset = limit, offset
        return command
    group = _group(account, event.data.groupKey, event.data.groupId)
    mark = _fingerprint(CommandKind.DELETE_GROUP, group, ())
    return Command(key, event.type, CommandKind.DELETE_GROUP, group, (), mark, [origin], expires)


def _group(
    account: str, group_key: str | None, group_id: str | None, own: CommandKey | None = None
) -> GroupRef:
    if group_key is not None:
        return GroupRef(account, HandleKind.KEY, group_key)
    if group_id is not None:
        return GroupRef(account, HandleKind.ID, group_id)
    assert own is not None
    return GroupRef(account, HandleKind.OWN, f"{own.source}\0{own.id}")


def _fingerprint(kind: CommandKind, group: GroupRef, numbers: tuple[str, ...], *rest: object) -> str:
    text = "\0".join((str(int(kind)), *group, ",".join(numbers), *map(repr, rest)))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _refusal(value: Any, entry: Entry, index: int, message: str, raw: bytes) -> Refusal:
    """What is owed to the sender depends on whether its name can be read."""
    if not isinstance(value, dict):
        return Refusal(Origin(entry, index), message, raw)
    text = {name: one for name, one in value.items() if isinstance(one, str) and _sayable(one)}
    origin = Origin(entry, index, text.get("replyto"), text.get("correlationid"), text.get("traceparent"))
    key = CommandKey(text["source"], text["id"]) if "source" in text and "id" in text else None
    return Refusal(origin, message, raw, key, text.get("type"), text.get("account"))


def _sayable(text: str) -> bool:
    return 1 <= len(text) <= 128 and text.isprintable()


def _explain(error: ValidationError) -> str:
    """What is wrong and where, without the values: they may be phone numbers."""
    problems = []
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:_ERRORS_SHOWN]:
        place = ".".join(str(part) for part in one["loc"] if not str(part).startswith("numbergroup."))
        problems.append(f"{place or 'event'}: {one['msg']}")
    more = error.error_count() - _ERRORS_SHOWN
    return "; ".join(problems) + (f"; and {more} more" if more > 0 else "")


def _raw(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # an integer of more than 64 bits
        return to_json(value)


def _peek(body: bytes) -> Any:
    """The beginning of a body that is too large to parse: enough to find out whose it is."""
    try:
        return from_json(body[:_PEEK], allow_inf_nan=False, allow_partial=True)
    except (ValueError, RecursionError):
        return None
