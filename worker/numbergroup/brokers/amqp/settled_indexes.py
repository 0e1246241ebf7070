"""Tracks the ledger's notes on messages that are answered, fully or in part, and not acknowledged.

A note tells the next owner what is answered when RabbitMQ delivers the message again. It is written after the
results are confirmed, and removed before the message is acknowledged: while the note exists, RabbitMQ has the
message. So no note outlives its message, and an equal message that is published later is answered. A crash
between the removal and the acknowledgement repeats answers.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from numbergroup.brokers.amqp.redelivery import PartlySettled, Redeliveries, Settled, State
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.replay_stream import ReplayStream
from numbergroup.engine.replays import REPLAY_TAG_PREFIX
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.codec import decode_marks, decode_whole

_TAG = re.compile(r"[0-9a-f]{24}-[0-9]{1,10}")


async def load_notes(client: Redis, partition: int, replays: ReplayStream) -> Mapping[str, State]:
    """Return the notes of earlier owners, by tag; `replays` keeps those on its own messages.

    Raises `BrokerUnavailable`.
    """
    async with translate_errors(BrokerUnavailable):
        stored: Any = await client.hgetall(keys.of_partition(partition, keys.PARTIAL))
    totals, rest = decode_whole(stored)
    parts = replays.keep_own_indexes(decode_marks(rest))
    notes: dict[str, State] = {tag: Settled(total) for tag, total in totals.items()}
    return notes | {tag: PartlySettled(indexes) for tag, indexes in parts.items()}


@dataclass(slots=True)
class SettledIndexes:
    """An owner's view of the notes: which the ledger has, and which must be written or removed. No I/O.

    - `_noted`: tags of messages on which the ledger has a note, or may have one.
    - `_due`: answered messages without a note, with their numbers of events.
    - `_obsolete`: tags whose notes must be removed.
    """

    partition: int
    _noted: set[str] = field(default_factory=set)
    _due: dict[str, int] = field(default_factory=dict)
    _obsolete: set[str] = field(default_factory=set)

    def adopt(self, notes: Mapping[str, State]) -> Redeliveries:
        """Take over the notes of earlier owners; return the redeliveries to expect. Invalid notes are
        removed."""
        redeliveries = Redeliveries()
        self._noted.update(notes)
        for tag, state in notes.items():
            if _TAG.fullmatch(tag):
                redeliveries.expect(tag, state)
            else:
                self._obsolete.add(tag)
        return redeliveries

    def add_answered(self, totals: Mapping[str, int]) -> None:
        """Note that the results of these messages are confirmed; `totals` are their numbers of events."""
        self._due.update(totals)

    def drop_missing(self, tags: Iterable[str]) -> None:
        """Note that RabbitMQ no longer has these messages."""
        for tag in tags:
            self._due.pop(tag, None)
            if tag in self._noted:
                self._obsolete.add(tag)

    def collect_due(self) -> list[tuple[str, int]]:
        """Return the notes to write with the next unit.

        They are due if a channel was lost right before their messages were to be acknowledged.
        """
        self._noted.update(self._due)
        return [*self._due.items()]

    def collect_changes(self, unit: Settlement, acknowledging: Collection[str]) -> Settlement | None:
        """Return what to write after the unit's results are confirmed, and before the messages with the tags
        `acknowledging` are acknowledged; `None` if nothing."""
        excluded = set(acknowledging)
        changes = Settlement(self.partition, partial=unit.partial, replayed=unit.replayed)
        changes.forgotten = [*self._obsolete, *(tag for tag in acknowledging if tag in self._noted)]
        changes.unacknowledged = [(tag, total) for tag, total in self._due.items() if tag not in excluded]
        self._noted.update(tag for tag, _ in changes.unacknowledged)
        self._noted.update(tag for tag, _ in unit.partial if not tag.startswith(REPLAY_TAG_PREFIX))
        is_empty = not (changes.forgotten or changes.unacknowledged or changes.partial or changes.replayed)
        return None if is_empty else changes

    def confirm_written(self, changes: Settlement) -> None:
        """Note that the ledger has stored these changes."""
        noted = {tag for tag, _ in changes.unacknowledged}
        self._obsolete.difference_update(changes.forgotten)
        self._noted.difference_update(set(changes.forgotten) - noted)
        for tag in noted:
            self._due.pop(tag, None)

    def confirm_acknowledged(self, tags: Iterable[str]) -> None:
        """Note that these messages are acknowledged."""
        for tag in tags:
            self._due.pop(tag, None)
