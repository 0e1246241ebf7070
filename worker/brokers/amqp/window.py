"""What one channel has delivered and nobody has acknowledged yet. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from worker.brokers.amqp.delivery import Delivery, digest_of, entry_of
from worker.engine.model import Entry

Acknowledgement = tuple[int, bool]
"""A delivery tag, and whether all before it are meant, too."""


@dataclass(slots=True, eq=False)
class _Held:
    entry: Entry
    digest: int
    settled: bool = False


@dataclass(slots=True)
class _Copies:
    """Messages that say the same, to the byte."""

    held: int = 0
    named: int = 0


@dataclass(slots=True)
class Window:
    """`generation` names the channel. An entry's own tag is made of what the message says: it is the same
    when the message comes again on another channel."""

    partition: int = 0
    generation: int = 0
    bytes: int = 0
    received: int = 0
    _held: dict[int, _Held] = field(default_factory=dict)
    _by_tag: dict[str, _Held] = field(default_factory=dict)
    _copies: dict[int, _Copies] = field(default_factory=dict)
    _settled: int = 0

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, tag: str) -> bool:
        return tag in self._by_tag

    def add(self, delivery: Delivery) -> Entry:
        """Take a delivery in; its number is higher than all before."""
        digest = digest_of(delivery.body)
        copies = self._copies.setdefault(digest, _Copies())
        entry = entry_of(delivery, self.partition, f"{digest}-{copies.named}")
        copies.held += 1
        copies.named += 1
        self._held[delivery.tag] = self._by_tag[entry.tag] = _Held(entry, digest)
        self.bytes += len(delivery.body)
        self.received += 1
        return entry

    def settle(self, tags: Sequence[str], room: int) -> list[Acknowledgement]:
        """What may be acknowledged now that these entries are settled: the highest contiguous number.

        What is settled beyond a stuck message waits with it, in order, until there are more than `room`
        of them: then they are acknowledged one by one, before they take up the room of others.
        """
        for tag in tags:
            held = self._by_tag.get(tag)
            if held is not None and not held.settled:
                held.settled = True
                self._settled += 1
        gone: list[int] = []
        for number, held in self._held.items():
            if not held.settled:
                break
            gone.append(number)
        found = [(gone[-1], True)] if gone else []
        upto = len(gone)
        if self._settled - upto > room:
            gone += [number for number, held in islice(self._held.items(), upto, None) if held.settled]
            found += [(number, False) for number in gone[upto:]]
        for number in gone:
            self._drop(number)
        return found

    def void(self) -> None:
        """The channel is gone: what was not acknowledged comes again, as another entry."""
        for held in self._held.values():
            held.entry.void = True

    def _drop(self, number: int) -> None:
        held = self._held.pop(number)
        self._settled -= 1
        self.bytes -= len(held.entry.body)
        del self._by_tag[held.entry.tag]
        copies = self._copies[held.digest]
        copies.held -= 1
        if not copies.held:
            del self._copies[held.digest]
