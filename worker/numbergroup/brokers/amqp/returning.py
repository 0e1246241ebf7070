"""What is known of messages that RabbitMQ may deliver again: how much of each is answered. Pure.

RabbitMQ delivers again whatever a lost channel had not acknowledged, also what was answered and waited behind
a message that was not. Such a delivery is flagged as redelivered. It is matched by the digest of its message,
once for each answered message with that digest: a producer who publishes a command again is answered again.
"""

from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple


class Whole(NamedTuple):
    """All of the message's events are answered, `total` of them."""

    total: int


class Taken(NamedTuple):
    """All of its events are in settlements that are being written: nothing is left to be done with it."""

    total: int


class Part(NamedTuple):
    """The events with these indexes are answered, or about to be; there may be none."""

    indexes: AbstractSet[int]


State = Whole | Taken | Part


@dataclass(slots=True)
class Returning:
    """States by the tags of messages that RabbitMQ certainly still has; a tag is its message's digest and a
    number."""

    _of: dict[str, dict[str, State]] = field(default_factory=dict)

    def __contains__(self, tag: str) -> bool:
        return tag in self._of.get(_digest(tag), ())

    def note(self, tag: str, state: State) -> None:
        """The message with that tag will come again, in this state."""
        self._of.setdefault(_digest(tag), {})[tag] = state

    def claim(self, digest: str) -> tuple[str, State] | None:
        """The tag and the state of a message that has come again; `None` when nothing is known of it."""
        states = self._of.get(digest)
        if states is None:
            return None
        tag = next(iter(states))
        state = states.pop(tag)
        if not states:
            del self._of[digest]
        return tag, state

    def settle(self, tag: str) -> int | None:
        """The settlements that it was taken into are written: how many events it has; `None` if unknown."""
        state = self._of.get(_digest(tag), {}).get(tag)
        if not isinstance(state, Whole | Taken):
            return None
        self.note(tag, Whole(state.total))
        return state.total

    def used(self, digest: str) -> Iterator[int]:
        """The numbers of the tags with that digest: no other message may have them."""
        return (int(tag.rpartition("-")[2]) for tag in self._of.get(digest, ()))

    def forget(self) -> Collection[str]:
        """All that can come again has come: forget the rest; their tags."""
        left = [tag for states in self._of.values() for tag in states]
        self._of.clear()
        return left


def _digest(tag: str) -> str:
    return tag.rpartition("-")[0]
