"""Decodes messages into commands and refusals. No message makes it raise.

An event with a readable `(source, id)` can be answered; any other becomes a dead letter with its raw bytes.
Each event of an array has the same outcome as if it had arrived alone. A body that is no array of 1 to 1,000
events is refused as a whole, but its readable events are answered.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.command_builder import build_command
from numbergroup.engine.decoding.fast_decode import InvalidCombination, parse_event, parse_events
from numbergroup.engine.decoding.json_scanner import BOM, SPACE
from numbergroup.engine.decoding.lenient_decode import (
    LenientDecoder,
    drop_invalid_indexes,
    may_have_non_json_number,
    printable_text,
)
from numbergroup.engine.replays import Replay, RetryHistory
from numbergroup.engine.verdicts import Refusal

_MAX_BEGINNING = 65_536

Spellings = Mapping[str, Callable[[str], str]]


@dataclass(slots=True, frozen=True)
class Intake:
    """Decodes messages. `max_bytes`: only the beginning of a larger message is read.

    `spellings`: by account, a function that maps all spellings of a number to one. Only intake applies it, so
    that everything after it (look-ups, merging, calls, results) uses the same spelling.
    """

    max_bytes: int = 1_048_576
    spellings: Spellings = field(default_factory=dict)

    def read(self, entry: Entry) -> list[Command | Refusal]:
        """Return the message's commands and refusals in order, without those that `entry.settled` names.

        Sets `entry.is_array` and `entry.total`. An attribute of an event takes precedence over the property
        of its message.
        """
        items = self._decode(entry)
        if self.spellings:
            for item in items:
                if isinstance(item, Command) and (spelling := self.spellings.get(item.group.account)):
                    item.normalize_numbers(spelling)
        return items

    def _decode(self, entry: Entry) -> list[Command | Refusal]:
        body = entry.body
        is_array = not body.startswith(b"{") and body.removeprefix(BOM).lstrip(SPACE).startswith(b"[")
        entry.is_array, entry.total = is_array, 1
        if entry.reply_to is not None or entry.correlation_id is not None:
            entry.reply_to = printable_text(entry.reply_to)
            entry.correlation_id = printable_text(entry.correlation_id)
        if entry.problem is not None:
            beginning = b"" if entry.ignore_body else body[: self.max_bytes]
            return LenientDecoder(entry).refuse_message(entry.problem, beginning)
        if len(body) > self.max_bytes:
            problem = f"the message has {len(body)} bytes, the limit is {self.max_bytes}"
            return LenientDecoder(entry).refuse_message(problem, body[:_MAX_BEGINNING])
        if may_have_non_json_number(body):
            return LenientDecoder(entry).decode_each()
        try:
            return _decode_fast(entry)
        except (ValidationError, InvalidCombination):
            return LenientDecoder(entry).decode_each()


def _decode_fast(entry: Entry) -> list[Command | Refusal]:
    """Decode a message without a bad event. Raises `ValidationError` or `InvalidCombination`."""
    if not entry.is_array:
        return [build_command(entry, 0, parse_event(entry.body))]
    events = parse_events(entry.body)
    entry.total = len(events)
    drop_invalid_indexes(entry, range(len(events)))
    settled = entry.settled
    return [build_command(entry, index, event) for index, event in enumerate(events) if index not in settled]


def attach_replay(items: Sequence[Command | Refusal], replay: Replay) -> None:
    """Record in the commands of a replayed message that they are replays."""
    for item in items:
        if isinstance(item, Command):
            item.retry_history = RetryHistory(replay)
            (origin,) = item.origins
            item.origins = [
                dataclasses.replace(origin, traceparent=origin.traceparent or replay.via.traceparent)
            ]
