"""Tracks the deliveries of one channel until they are acknowledged. No I/O."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

from numbergroup.brokers.amqp.delivery import Delivery, build_entry
from numbergroup.brokers.amqp.redelivery import PartlySettled, Redeliveries, Settled, Settling
from numbergroup.brokers.amqp.topology import DEAD_LETTER_QUEUE
from numbergroup.engine.commands import Entry

Acknowledgement = tuple[int, bool]
"""A delivery tag, and whether it also acknowledges all earlier deliveries (AMQP's `multiple`)."""

# Two counts in one integer: the garbage collector would visit an object per message in every collection.
_COPY, _NUMBER = 1, 1 << 32


class Acknowledgeable(NamedTuple):
    """Messages that may be acknowledged now: their delivery tags, and the tags of their entries.

    `contiguous`: how many of them, from the first, have no unsettled message before them.
    """

    delivery_tags: list[int]
    entry_tags: list[str]
    contiguous: int

    @property
    def acknowledgements(self) -> list[Acknowledgement]:
        tags, contiguous = self.delivery_tags, self.contiguous
        first = [(tags[contiguous - 1], True)] if contiguous else []
        return first + [(tag, False) for tag in tags[contiguous:]]


@dataclass(slots=True)
class Window:
    """The unacknowledged deliveries of one channel.

    A message's entry tag is made of its content, because delivery tags are valid on one channel only.

    - `generation`: identifies the channel.
    - `redeliveries`: the messages that earlier channels delivered.
    - `bytes`: the size of the bodies that are unread or unsettled.
    - `received`: how many deliveries were read.
    - `has_all_redeliveries`: no more redeliveries can come. RabbitMQ delivers them before new messages, once
      the former consumer is gone. Until then it is unknown what that one holds.
    - `unread`: deliveries that were not read yet, in order.
    """

    partition: int = 0
    generation: int = 0
    redeliveries: Redeliveries = field(default_factory=Redeliveries)
    bytes: int = 0
    received: int = 0
    has_all_redeliveries: bool = False
    unread: deque[Delivery] = field(default_factory=deque)
    _held: dict[int, Entry | str] = field(default_factory=dict)
    """By delivery tag, in order. Of a settled message only the entry tag is kept."""
    _unsettled: dict[str, int] = field(default_factory=dict)
    """Delivery tags by entry tag."""
    _settling: dict[str, int] = field(default_factory=dict)
    """Unsettled messages that are not processed again, with their numbers of events."""
    _totals: dict[str, int] = field(default_factory=dict)
    """Settled messages with several events, with the numbers of events."""
    _copies: dict[str, int] = field(default_factory=dict)
    """By digest: how many equal messages are held, and the next number for a tag."""

    def __len__(self) -> int:
        return len(self._held) + len(self.unread)

    @property
    def is_head_settled(self) -> bool:
        """Whether the first unacknowledged message may be acknowledged."""
        return isinstance(next(iter(self._held.values()), None), str)

    def add_unread(self, deliveries: Sequence[Delivery]) -> None:
        """Keep deliveries until they are read. Their delivery tags are higher than all before."""
        self.unread.extend(deliveries)
        self.bytes += sum(len(delivery.body) for delivery in deliveries)

    def read_next(self) -> Entry | None:
        """Read the first unread delivery; see `hold`."""
        delivery = self.unread.popleft()
        self.bytes -= len(delivery.body)
        return self.hold(delivery)

    def hold(self, delivery: Delivery) -> Entry | None:
        """Hold a delivery, whose delivery tag is higher than all before, until it is acknowledged.

        Returns the entry to process; `None` if the message is answered, or is being settled.
        """
        entry = build_entry(delivery, self.partition)
        digest = entry.dead_letter_name or ""
        matched = self.redeliveries.match(digest) if delivery.redelivered else None
        known_tag, state = matched or (None, None)
        entry.tag = self._assign_tag(digest, known_tag)
        self.received += 1
        if not (delivery.redelivered or delivery.is_stray or delivery.queue == DEAD_LETTER_QUEUE):
            self.has_all_redeliveries = True
        match state:
            case Settled(total):
                self._held[delivery.tag] = entry.tag
                self._keep_total(entry.tag, total)
                return None
            case Settling(total):
                self._settling[entry.tag] = total
            case PartlySettled(indexes):
                if indexes:
                    # The real total is unknown until the body is decoded.
                    entry.settled, entry.total = set(indexes), len(indexes) + 1
            case None:
                pass
            case _:
                assert_never(state)
        self._held[delivery.tag] = entry
        self._unsettled[entry.tag] = delivery.tag
        self.bytes += len(delivery.body)
        return None if isinstance(state, Settling) else entry

    def settle(self, tags: Sequence[str]) -> dict[str, int]:
        """Note that the messages with these entry tags are answered.

        Returns those of them that are not acknowledged, with their numbers of events.
        """
        totals: dict[str, int] = {}
        for tag in tags:
            delivery_tag = self._unsettled.pop(tag, None)
            if delivery_tag is None:
                # A channel that was lost since had delivered it.
                total = self.redeliveries.settle(tag)
            else:
                entry = self._held[delivery_tag]
                assert isinstance(entry, Entry)
                total = self._settling.pop(tag, entry.total)
                self.bytes -= len(entry.body)
                self._held[delivery_tag] = tag
                self._keep_total(tag, total)
            if total is not None:
                totals[tag] = total
        return totals

    def find_acknowledgeable(self, max_retained: int, max_events: int) -> Acknowledgeable:
        """Return the settled messages before the first unsettled one, up to `max_events` events in all.

        Settled messages behind an unsettled one wait for it, in order. If there are more than `max_retained`
        of them, they are returned as well, to be acknowledged one by one before they fill the prefetch.
        """
        delivery_tags: list[int] = []
        entry_tags: list[str] = []
        contiguous: int | None = None
        for delivery_tag, held in self._held.items():
            if not isinstance(held, str):
                if contiguous is None:
                    contiguous = len(delivery_tags)
                    if len(self._held) - len(self._unsettled) - contiguous <= max_retained:
                        break
                continue
            max_events -= self.event_count(held)
            if max_events < 0 and delivery_tags:
                break
            delivery_tags.append(delivery_tag)
            entry_tags.append(held)
        return Acknowledgeable(
            delivery_tags, entry_tags, len(delivery_tags) if contiguous is None else contiguous
        )

    def event_count(self, tag: str) -> int:
        """Return how many events a settled message has."""
        return self._totals.get(tag, 1)

    def remove(self, messages: Acknowledgeable) -> None:
        """Stop holding these messages: they are acknowledged."""
        for delivery_tag, tag in zip(messages.delivery_tags, messages.entry_tags, strict=True):
            del self._held[delivery_tag]
            self._totals.pop(tag, None)
            digest = tag.partition("-")[0]
            copies = self._copies[digest] - _COPY
            if copies % _NUMBER:
                self._copies[digest] = copies
            else:
                del self._copies[digest]

    def void(self) -> Redeliveries:
        """Mark all entries as awaiting redelivery, because the channel is lost; return what to expect."""
        for held in self._held.values():
            if isinstance(held, str):
                self.redeliveries.expect(held, Settled(self.event_count(held)))
                continue
            held.awaits_redelivery = True
            if held.tag in self._settling:
                self.redeliveries.expect(held.tag, Settling(self._settling[held.tag]))
            elif len(held.settled) >= held.total:
                self.redeliveries.expect(held.tag, Settling(held.total))
            else:
                self.redeliveries.expect(held.tag, PartlySettled(frozenset(held.settled)))
        return self.redeliveries

    def _assign_tag(self, digest: str, known_tag: str | None) -> str:
        """Return the tag of one more message with this digest: its known tag, or a new one."""
        copies = self._copies.get(digest, 0)
        number = copies // _NUMBER
        if known_tag is None:
            number = max([number, *(used + 1 for used in self.redeliveries.used_numbers(digest))])
            tag = f"{digest}-{number}"
        else:
            number = max(number, int(known_tag.rpartition("-")[2]))
            tag = known_tag
        self._copies[digest] = copies % _NUMBER + _COPY + (number + 1) * _NUMBER
        return tag

    def _keep_total(self, tag: str, total: int) -> None:
        if total > 1:
            self._totals[tag] = total
