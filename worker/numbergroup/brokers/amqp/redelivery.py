"""Tracks the messages that RabbitMQ may deliver again, and how far each is settled. No I/O.

RabbitMQ delivers again what a lost channel had not acknowledged, including answered messages that wait behind
an unanswered one. It flags these deliveries as redelivered. A redelivery is matched by its message's digest,
once per tracked message with that digest: so a command that its producer publishes again is answered again.
"""

from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple


class Settled(NamedTuple):
    """All events of the message are answered. `total`: how many it has."""

    total: int


class Settling(NamedTuple):
    """All events of the message are in settlements that are being written. `total`: how many it has."""

    total: int


class PartlySettled(NamedTuple):
    """The events with these indexes are answered, or are being settled. There may be none."""

    indexes: AbstractSet[int]


State = Settled | Settling | PartlySettled


@dataclass(slots=True)
class Redeliveries:
    """The states of messages that RabbitMQ certainly still has, by entry tag.

    An entry tag is a message's digest and a number.
    """

    _states: dict[str, dict[str, State]] = field(default_factory=dict)

    def expect(self, tag: str, state: State) -> None:
        """Track a message that will be delivered again."""
        self._states.setdefault(_split_digest(tag), {})[tag] = state

    def match(self, digest: str) -> tuple[str, State] | None:
        """Remove a message with this digest that was delivered again; return its tag and state.

        Returns `None` if no such message is tracked.
        """
        states = self._states.get(digest)
        if states is None:
            return None
        tag = next(iter(states))
        state = states.pop(tag)
        if not states:
            del self._states[digest]
        return tag, state

    def settle(self, tag: str) -> int | None:
        """Note that the settlements of the message are written; return its number of events.

        Returns `None` if the message is not tracked, or has events that were in no settlement.
        """
        state = self._states.get(_split_digest(tag), {}).get(tag)
        if not isinstance(state, Settled | Settling):
            return None
        self.expect(tag, Settled(state.total))
        return state.total

    def used_numbers(self, digest: str) -> Iterator[int]:
        """Yield the numbers in tags with this digest: no other message may have them."""
        return (int(tag.rpartition("-")[2]) for tag in self._states.get(digest, ()))

    def clear(self) -> Collection[str]:
        """Stop waiting for redeliveries; return the tags of the messages that were not redelivered."""
        missing = [tag for states in self._states.values() for tag in states]
        self._states.clear()
        return missing


def _split_digest(tag: str) -> str:
    return tag.rpartition("-")[0]
