"""What one channel has delivered and nobody has acknowledged yet. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from worker.brokers.amqp.delivery import Delivery, entry_of
from worker.engine.model import Entry

Acknowledgement = tuple[int, bool]
"""A delivery tag, and whether all before it are meant, too."""

# Two counts in one number: an object for each message would be visited by every collection of garbage.
_HELD, _NAMED = 1, 1 << 32


@dataclass(slots=True)
class Window:
    """`generation` names the channel. An entry's own tag is made of what the message says: it is the same
    when the message comes again on another channel."""

    partition: int = 0
    generation: int = 0
    bytes: int = 0
    received: int = 0
    unread: deque[Delivery] = field(default_factory=deque)
    """As they came: whoever has room for more reads the `next`."""
    _held: dict[int, Entry | str] = field(default_factory=dict)
    """By delivery tag, in order; of what is settled only its own tag is left."""
    _unsettled: dict[str, int] = field(default_factory=dict)
    _copies: dict[str, int] = field(default_factory=dict)
    """How many messages that say the same to the byte are held, and how many were named since the first."""

    def __len__(self) -> int:
        return len(self._held) + len(self.unread)

    def __contains__(self, tag: str) -> bool:
        return tag in self._unsettled

    def arrive(self, deliveries: Sequence[Delivery]) -> None:
        """Keep them until they are read; their numbers are higher than all before."""
        self.unread.extend(deliveries)
        self.bytes += sum(len(delivery.body) for delivery in deliveries)

    def next(self) -> tuple[Entry, bool]:
        """The first that is not read, and whether it was delivered before."""
        delivery = self.unread.popleft()
        self.bytes -= len(delivery.body)
        return self.add(delivery), delivery.redelivered

    def add(self, delivery: Delivery) -> Entry:
        """Take a delivery in; its number is higher than all before."""
        entry = entry_of(delivery, self.partition)
        digest = entry.name or ""
        copies = self._copies.get(digest, 0)
        self._copies[digest] = copies + _HELD + _NAMED
        entry.tag = f"{digest}-{copies // _NAMED}"
        self._held[delivery.tag] = entry
        self._unsettled[entry.tag] = delivery.tag
        self.bytes += len(delivery.body)
        self.received += 1
        return entry

    def settle(self, tags: Sequence[str], room: int) -> list[Acknowledgement]:
        """What may be acknowledged now that these entries are settled: the highest contiguous number.

        What is settled beyond a stuck message waits with it, in order, until there are more than `room`
        of them: then they are acknowledged one by one, before they take up the room of others.
        """
        for tag in tags:
            number = self._unsettled.pop(tag, None)
            if number is not None:
                self.bytes -= len(self._entry(number).body)
                self._held[number] = tag
        gone: list[int] = []
        for number, held in self._held.items():
            if isinstance(held, Entry):
                break
            gone.append(number)
        found = [(gone[-1], True)] if gone else []
        upto = len(gone)
        if len(self._held) - len(self._unsettled) - upto > room:
            gone += [
                number for number, held in islice(self._held.items(), upto, None) if isinstance(held, str)
            ]
            found += [(number, False) for number in gone[upto:]]
        for number in gone:
            self._drop(number)
        return found

    def void(self) -> None:
        """The channel is gone: what was not acknowledged comes again, as another entry."""
        for number in self._unsettled.values():
            self._entry(number).void = True

    def _entry(self, number: int) -> Entry:
        entry = self._held[number]
        assert isinstance(entry, Entry)
        return entry

    def _drop(self, number: int) -> None:
        tag = self._held.pop(number)
        assert isinstance(tag, str)
        digest = tag.partition("-")[0]
        copies = self._copies[digest] - _HELD
        if copies % _NAMED:
            self._copies[digest] = copies
        else:
            del self._copies[digest]
