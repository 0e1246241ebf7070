"""The ledger's notes on messages that are answered, in part or whole, and not acknowledged: for when they
come again.

A note is written when the results are confirmed, and removed before the message is acknowledged: while there
is one, RabbitMQ has the message. So no note outlives its message, and none keeps an equal message that is
published later from being answered. A crash between the removal and the acknowledgement repeats answers.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from numbergroup.brokers.amqp.returning import Part, Returning, State, Whole
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.replay_stream import ReplayStream
from numbergroup.engine.replays import SIDE
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.codec import decode_marks, decode_whole

_TAG = re.compile(r"[0-9a-f]{24}-[0-9]{1,10}")


async def recall(client: Redis, partition: int, side: ReplayStream) -> Mapping[str, State]:
    """What an earlier owner has noted; `side` keeps its own. Raises `BrokerUnavailable`."""
    async with translate_errors(BrokerUnavailable):
        found: Any = await client.hgetall(keys.of_partition(partition, keys.PARTIAL))
    whole, rest = decode_whole(found)
    parts = side.keep_own_marks(decode_marks(rest))
    states: dict[str, State] = {tag: Whole(total) for tag, total in whole.items()}
    return states | {tag: Part(indexes) for tag, indexes in parts.items()}


@dataclass(slots=True)
class SettledIndexes:
    """One owner's view of the notes. Pure."""

    partition: int
    _kept: set[str] = field(default_factory=set)
    """Tags that the ledger has, or may have."""
    _due: dict[str, int] = field(default_factory=dict)
    """Answered messages without a note, and how many events each has."""
    _over: set[str] = field(default_factory=set)

    def recalled(self, states: Mapping[str, State]) -> Returning:
        """Take over what an earlier owner has noted."""
        known = Returning()
        self._kept.update(states)
        for tag, state in states.items():
            if _TAG.fullmatch(tag):
                known.note(tag, state)
            else:
                self._over.add(tag)
        return known

    def answered(self, totals: Mapping[str, int]) -> None:
        """The results of these messages are confirmed."""
        self._due.update(totals)

    def gone(self, tags: Iterable[str]) -> None:
        """RabbitMQ does not have these messages any more."""
        for tag in tags:
            self._due.pop(tag, None)
            if tag in self._kept:
                self._over.add(tag)

    def due(self) -> list[tuple[str, int]]:
        """Notes to be written with the next unit: their messages came again when they were to leave."""
        self._kept.update(self._due)
        return [*self._due.items()]

    def changes(self, unit: Settlement, leaving: Collection[str]) -> Settlement | None:
        """What is to be written before the messages in `leaving` are acknowledged, and after the results of
        the unit are confirmed."""
        going = set(leaving)
        found = Settlement(self.partition, partial=unit.partial, replayed=unit.replayed)
        found.forgotten = [*self._over, *(tag for tag in leaving if tag in self._kept)]
        found.unacknowledged = [one for one in self._due.items() if one[0] not in going]
        self._kept.update(tag for tag, _ in found.unacknowledged)
        self._kept.update(tag for tag, _ in unit.partial if not tag.startswith(SIDE))
        return found if found.forgotten or found.unacknowledged or found.partial or found.replayed else None

    def written(self, changes: Settlement) -> None:
        """They are durable."""
        noted = {tag for tag, _ in changes.unacknowledged}
        self._over.difference_update(changes.forgotten)
        self._kept.difference_update(set(changes.forgotten) - noted)
        for tag in noted:
            self._due.pop(tag, None)

    def left(self, tags: Iterable[str]) -> None:
        """These messages are acknowledged."""
        for tag in tags:
            self._due.pop(tag, None)
