"""What one channel has delivered and nobody has acknowledged yet. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

from numbergroup.brokers.amqp.delivery import Delivery, entry_of
from numbergroup.brokers.amqp.returning import Part, Returning, Taken, Whole
from numbergroup.brokers.amqp.topology import DEAD
from numbergroup.engine.commands import Entry

Acknowledgement = tuple[int, bool]
"""A delivery tag, and whether all before it are meant, too."""

# Two counts in one number: an object for each message would be visited by every collection of garbage.
_HELD, _NAMED = 1, 1 << 32


class Leaving(NamedTuple):
    """Messages that may be acknowledged now: their delivery tags, and the tags of their entries. The first
    `together` of them are all that came until then."""

    numbers: list[int]
    tags: list[str]
    together: int

    @property
    def acknowledgements(self) -> list[Acknowledgement]:
        numbers, together = self.numbers, self.together
        first = [(numbers[together - 1], True)] if together else []
        return first + [(number, False) for number in numbers[together:]]


@dataclass(slots=True)
class Window:
    """`generation` names the channel. An entry's own tag is made of what the message says. `returning`: what
    is known of messages that earlier channels delivered."""

    partition: int = 0
    generation: int = 0
    returning: Returning = field(default_factory=Returning)
    bytes: int = 0
    received: int = 0
    all_came: bool = False
    """Whether everything that RabbitMQ delivers again has come. It delivers that before anything new, once
    the former consumer is gone; until then what that one holds cannot be counted."""
    unread: deque[Delivery] = field(default_factory=deque)
    """As they came: whoever has room for more reads the `next`."""
    _held: dict[int, Entry | str] = field(default_factory=dict)
    """By delivery tag, in order; of what is settled only its own tag is left."""
    _unsettled: dict[str, int] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)
    """Unsettled messages that nobody has to look at: how many events each has."""
    _totals: dict[str, int] = field(default_factory=dict)
    """Settled messages with several events: how many."""
    _copies: dict[str, int] = field(default_factory=dict)
    """How many messages that say the same to the byte are held, and how many were named since the first."""

    def __len__(self) -> int:
        return len(self._held) + len(self.unread)

    @property
    def is_head_settled(self) -> bool:
        """Whether the first message that is not acknowledged may be."""
        return isinstance(next(iter(self._held.values()), None), str)

    def arrive(self, deliveries: Sequence[Delivery]) -> None:
        """Keep them until they are read; their numbers are higher than all before."""
        self.unread.extend(deliveries)
        self.bytes += sum(len(delivery.body) for delivery in deliveries)

    def next(self) -> Entry | None:
        """The first that is not read; `None` if there is nothing to be done with it."""
        delivery = self.unread.popleft()
        self.bytes -= len(delivery.body)
        return self.add(delivery)

    def add(self, delivery: Delivery) -> Entry | None:
        """Hold a delivery, whose number is higher than all before: the entry to be worked at, if it is not
        answered yet."""
        entry, number = entry_of(delivery, self.partition), delivery.tag
        claimed = self.returning.claim(entry.dead_letter_name or "") if delivery.redelivered else None
        entry.tag = self._named(entry.dead_letter_name or "", claimed[0] if claimed else None)
        self.received += 1
        if not (delivery.redelivered or delivery.stray or delivery.queue == DEAD):
            self.all_came = True
        state = claimed[1] if claimed else None
        match state:
            case Whole(total):
                self._held[number] = entry.tag
                self._note_total(entry.tag, total)
                return None
            case Taken(total):
                self._taken[entry.tag] = total
            case Part(indexes):
                if indexes:
                    # Until it is decoded nobody knows of how many.
                    entry.settled, entry.total = set(indexes), len(indexes) + 1
            case None:
                pass
            case _:
                assert_never(state)
        self._held[number] = entry
        self._unsettled[entry.tag] = number
        self.bytes += len(delivery.body)
        return None if isinstance(state, Taken) else entry

    def settle(self, tags: Sequence[str]) -> dict[str, int]:
        """These are answered; by tag, how many events each has of those that are not acknowledged."""
        found: dict[str, int] = {}
        for tag in tags:
            number = self._unsettled.pop(tag, None)
            if number is None:
                # It came on a channel that was lost since.
                total = self.returning.settle(tag)
            else:
                entry = self._entry(number)
                total = self._taken.pop(tag, entry.total)
                self.bytes -= len(entry.body)
                self._held[number] = tag
                self._note_total(tag, total)
            if total is not None:
                found[tag] = total
        return found

    def leaving(self, room: int, most: int) -> Leaving:
        """What may be acknowledged: the settled messages before the first that is not, with `most` events in
        all.

        What is settled beyond a stuck message waits with it, in order, until there are more than `room`
        of them: then they are acknowledged one by one, before they take up the room of others.
        """
        numbers: list[int] = []
        tags: list[str] = []
        together, behind = 0, False
        for number, held in self._held.items():
            if not isinstance(held, str):
                if not behind:
                    behind, together = True, len(numbers)
                    if len(self._held) - len(self._unsettled) - together <= room:
                        break
                continue
            most -= self.total(held)
            if most < 0 and numbers:
                break
            numbers.append(number)
            tags.append(held)
        return Leaving(numbers, tags, together if behind else len(numbers))

    def total(self, tag: str) -> int:
        """How many events a settled message has."""
        return self._totals.get(tag, 1)

    def drop(self, leaving: Leaving) -> None:
        """These are acknowledged."""
        for number, tag in zip(leaving.numbers, leaving.tags, strict=True):
            del self._held[number]
            self._totals.pop(tag, None)
            digest = tag.partition("-")[0]
            copies = self._copies[digest] - _HELD
            if copies % _NAMED:
                self._copies[digest] = copies
            else:
                del self._copies[digest]

    def void(self) -> Returning:
        """The channel is gone: what was not acknowledged comes again. What is known of it then."""
        for held in self._held.values():
            if isinstance(held, str):
                self.returning.note(held, Whole(self.total(held)))
                continue
            held.awaits_redelivery = True
            if held.tag in self._taken:
                self.returning.note(held.tag, Taken(self._taken[held.tag]))
            elif len(held.settled) >= held.total:
                self.returning.note(held.tag, Taken(held.total))
            else:
                self.returning.note(held.tag, Part(frozenset(held.settled)))
        return self.returning

    def _named(self, digest: str, tag: str | None) -> str:
        """The tag of one more message with that digest: a new one, unless it has one already."""
        copies = self._copies.get(digest, 0)
        number = copies // _NAMED
        if tag is None:
            number = max([number, *(used + 1 for used in self.returning.used(digest))])
            tag = f"{digest}-{number}"
        else:
            number = max(number, int(tag.rpartition("-")[2]))
        self._copies[digest] = copies % _NAMED + _HELD + (number + 1) * _NAMED
        return tag

    def _note_total(self, tag: str, total: int) -> None:
        if total > 1:
            self._totals[tag] = total

    def _entry(self, number: int) -> Entry:
        entry = self._held[number]
        assert isinstance(entry, Entry)
        return entry
