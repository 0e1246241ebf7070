"""Decodes messages that have a bad event: each event by itself, so that the others are carried out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from pydantic_core import from_json

from numbergroup.engine.commands import Command, CommandKey, Entry, GroupRef, HandleKind, Origin
from numbergroup.engine.decoding.command_builder import DEFAULT_ACCOUNT, build_command
from numbergroup.engine.decoding.fast_decode import parse_event
from numbergroup.engine.decoding.json_scanner import BOM, member_bytes, split_array, string_members
from numbergroup.engine.verdicts import CRASHED, Refusal
from numbergroup_contracts.commands import COMMAND_ADAPTER, CREATE, DELETE, UPDATE, AnyCommand
from numbergroup_contracts.event import MAX_EVENTS_PER_MESSAGE, PRINTABLE
from numbergroup_contracts.explanation import explain
from numbergroup_contracts.results import Status

_ID, _KEY = HandleKind.ID, HandleKind.KEY
_N, _F = b"Nf"
_MAX_TEXT = 255
_MAX_IDENTIFIER = 128
_MIN_EVENT_BYTES = len('{"id":"a","source":"b"}')
_PRINTABLE = re.compile(PRINTABLE)

_validate_model: Final[Callable[[bytes], AnyCommand]] = COMMAND_ADAPTER.validator.validate_json


@dataclass(slots=True)
class LenientDecoder:
    """Decodes a message that has at least one bad event."""

    entry: Entry

    def decode_each(self) -> list[Command | Refusal]:
        """Decode each event by itself; refuse an array as a whole if its events cannot be separated."""
        entry = self.entry
        if not entry.is_array:
            return [self._decode_event(0, entry.body)]
        events, is_complete = split_array(entry.body)
        if len(events) > MAX_EVENTS_PER_MESSAGE:
            problem = f"more than {MAX_EVENTS_PER_MESSAGE} events in an array"
        elif not is_complete:
            problem = "not JSON: the array breaks off, or something follows it"
        elif not events:
            problem = "an array without events"
        elif entry.body.startswith(BOM):
            problem = "not JSON: it begins with a byte order mark"
        else:
            entry.total = len(events)
            drop_invalid_indexes(entry, range(len(events)))
            unsettled = (index for index in range(len(events)) if index not in entry.settled)
            return [self._decode_event(index, events[index]) for index in unsettled]
        return self._refuse_array(events, problem, is_complete=is_complete)

    def refuse_message(self, problem: str, beginning: bytes) -> list[Command | Refusal]:
        """Refuse the message as a whole. Only its `beginning` is searched for the producers to answer."""
        if self.entry.is_array:
            return self._refuse_array(split_array(beginning)[0], problem, is_complete=False)
        return [self._build_refusal(0, self.entry.body, problem, string_members(beginning))]

    def _refuse_array(
        self, events: list[bytes], problem: str, *, is_complete: bool
    ) -> list[Command | Refusal]:
        """Return a refusal for each event that can be answered.

        The other events share one refusal, with the whole message: a long array may have many scalars.
        """
        entry, refusals = self.entry, list[Refusal]()
        for index, raw in enumerate(events):
            if len(raw) >= _MIN_EVENT_BYTES and _read_key(attributes := string_members(raw)):
                refusals.append(self._build_refusal(index, raw, problem, attributes))
        if not refusals:
            entry.is_array = False
            return [self._build_refusal(0, entry.body, problem, {})]
        if not is_complete or len(refusals) < len(events):
            refusals.append(self._build_refusal(len(events), entry.body, problem, {}))
        entry.total = len(refusals)
        drop_invalid_indexes(entry, [refusal.origin.index for refusal in refusals])
        return [refusal for refusal in refusals if refusal.origin.index not in entry.settled]

    def _decode_event(self, index: int, raw: bytes) -> Command | Refusal:
        try:
            if may_have_non_json_number(raw):
                from_json(raw, allow_inf_nan=False)
            # The models' errors can be explained in the terms of the contract.
            _validate_model(raw)
            return build_command(self.entry, index, parse_event(raw))
        except ValidationError as error:
            problem = explain(error)
        except ValueError as error:
            problem = f"not JSON: {error}"
        return self._build_refusal(index, raw, problem, string_members(raw))

    def _build_refusal(self, index: int, raw: bytes, problem: str, attributes: dict[str, str]) -> Refusal:
        """Return a refusal. `attributes`: those that could be read; they tell whether there is a producer to
        answer."""
        entry = self.entry
        has_crashed = entry.problem_kind == CRASHED
        return Refusal(
            Origin(
                entry,
                index,
                reply_to=_read_text(attributes, "replyto") or entry.reply_to,
                correlation_id=_read_text(attributes, "correlationid") or entry.correlation_id,
                traceparent=_read_text(attributes, "traceparent"),
            ),
            problem,
            raw,
            key=_read_key(attributes),
            type=_read_text(attributes, "type"),
            account=_read_text(attributes, "account", _MAX_IDENTIFIER),
            kind=entry.problem_kind,
            status=Status.FAILED if has_crashed else Status.REJECTED,
            # It may be a valid command. Its replay must not undo later decisions on this group.
            group=_read_group(raw, attributes) if has_crashed and attributes else None,
        )


def drop_invalid_indexes(entry: Entry, indexes: Sequence[int]) -> None:
    """Drop settled indexes that cannot be the message's own: unknown ones, or the indexes of all its events.

    With them, the message would leave the broker too early, or never.
    """
    if entry.settled and not entry.settled < set(indexes):
        entry.settled = frozenset()


def may_have_non_json_number(body: bytes) -> bool:
    """Whether the bytes may contain NaN or Infinity, which the parser accepts and RFC 8259 does not."""
    # A search for one byte is ten times faster; most bodies have neither an N nor an f.
    return (_N in body and b"NaN" in body) or (_F in body and b"Infinity" in body)


def _read_key(attributes: dict[str, str]) -> CommandKey | None:
    source = _read_text(attributes, "source", _MAX_IDENTIFIER)
    event_id = _read_text(attributes, "id", _MAX_IDENTIFIER)
    return CommandKey(source, event_id) if source and event_id else None


def _read_group(raw: bytes, attributes: dict[str, str]) -> GroupRef | None:
    """Return the group of an event that is not decoded; `None` if it has no readable handle."""
    if attributes.get("type") not in (UPDATE, CREATE, DELETE):
        return None
    data = string_members(member_bytes(raw, "data"))
    account = _read_text(attributes, "account", _MAX_IDENTIFIER) or DEFAULT_ACCOUNT
    for kind, name in ((_ID, "groupId"), (_KEY, "groupKey")):
        handle = _read_text(data, name)
        if handle is not None:
            return GroupRef(account, kind, handle)
    return None


def _read_text(members: dict[str, str], name: str, max_length: int = _MAX_TEXT) -> str | None:
    return printable_text(members.get(name), max_length)


def printable_text(text: str | None, max_length: int = _MAX_TEXT) -> str | None:
    """Return the text; `None` if it is empty, too long or not printable."""
    return text if text and len(text) <= max_length and _PRINTABLE.fullmatch(text) else None
