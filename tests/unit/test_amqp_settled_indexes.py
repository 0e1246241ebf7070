"""Notes on messages that are answered and not acknowledged.

Over any number of crashes, each message is answered, and a crash repeats no more answers than were in flight.
"""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from numbergroup.brokers.amqp.delivery import Delivery, read_properties
from numbergroup.brokers.amqp.redelivery import Settled, State
from numbergroup.brokers.amqp.settled_indexes import SettledIndexes
from numbergroup.brokers.amqp.window import Window
from numbergroup.engine.commands import Entry
from numbergroup.engine.settling.settlement import Settlement

BODIES = (b"a", b"b", b"c")
MAX_EVENTS = 2


@dataclass
class Rabbit:
    """A queue, the ledger's notes, and a worker that consumes the queue and writes the notes."""

    waiting: list[tuple[bytes, bool]] = field(default_factory=list)
    unacknowledged: dict[int, bytes] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    answers: Counter[bytes] = field(default_factory=Counter)
    may_repeat: int = 0
    last_tag: int = 0
    in_work: list[Entry] = field(default_factory=list)
    window: Window = field(default_factory=Window)
    notes_view: SettledIndexes = field(default_factory=lambda: SettledIndexes(0))

    def consume(self) -> None:
        for body, redelivered in self.waiting:
            self.last_tag += 1
            self.unacknowledged[self.last_tag] = body
            entry = self.window.hold(
                Delivery(self.last_tag, "numbergroup.commands", body, read_properties({}), redelivered)
            )
            if entry is not None:
                self.in_work.append(entry)
        self.waiting.clear()

    def settle(self, positions: list[int], max_retained: int, crash_step: int) -> None:
        """Answer these messages in work, and crash before this step; with 0, do not crash."""
        chosen = [self.in_work[position] for position in positions]
        self.answers.update(entry.body for entry in chosen)
        self.in_work = [entry for entry in self.in_work if entry not in chosen]
        for entry in chosen:
            entry.mark_settled(0)
        if crash_step == 1:
            return self.crash(len(chosen))
        self.notes_view.add_answered(self.window.settle([entry.tag for entry in chosen]))
        while True:
            if self.window.has_all_redeliveries:
                self.notes_view.drop_missing(self.window.redeliveries.clear())
            messages = self.window.find_acknowledgeable(max_retained, MAX_EVENTS)
            changes = self.notes_view.collect_changes(Settlement(0), messages.entry_tags)
            if changes is not None:
                self.notes = {tag: n for tag, n in self.notes.items() if tag not in changes.forgotten}
                self.notes.update(changes.unacknowledged)
                self.notes_view.confirm_written(changes)
            if crash_step == 2 and messages.delivery_tags:
                return self.crash(len(messages.delivery_tags))
            if not messages.delivery_tags:
                return None
            self.window.remove(messages)
            self.notes_view.confirm_acknowledged(messages.entry_tags)
            for number in messages.delivery_tags:
                del self.unacknowledged[number]

    def lose_connection(self) -> None:
        """Lose the connection, and keep the process."""
        self.in_work.clear()
        self.window = Window(0, self.window.generation + 1, self.window.void())
        self._requeue()

    def crash(self, in_flight: int = 0) -> None:
        self.may_repeat += in_flight
        self.in_work.clear()
        self.notes_view = SettledIndexes(0)
        states: dict[str, State] = {tag: Settled(total) for tag, total in self.notes.items()}
        self.window = Window(0, 1, self.notes_view.adopt(states))
        self._requeue()

    def _requeue(self) -> None:
        self.waiting[:0] = [(body, True) for body in self.unacknowledged.values()]
        self.unacknowledged.clear()


@given(st.data())
def test_a_crash_repeats_what_was_in_flight(data: st.DataObject) -> None:
    """Equal messages are counted apart: a producer published them again, or RabbitMQ redelivered them."""
    rabbit = Rabbit()
    published: Counter[bytes] = Counter()
    for _ in range(data.draw(st.integers(1, 40))):
        match data.draw(
            st.sampled_from(["publish", "publish", "consume", "settle", "settle", "lose", "crash"])
        ):
            case "publish":
                body = data.draw(st.sampled_from(BODIES))
                published[body] += 1
                rabbit.waiting.append((body, False))
            case "consume":
                rabbit.consume()
            case "settle" if rabbit.in_work:
                positions = st.lists(st.integers(0, len(rabbit.in_work) - 1), min_size=1, unique=True)
                crash_step = data.draw(st.sampled_from([0, 0, 0, 1, 2]))
                rabbit.settle(data.draw(positions), data.draw(st.integers(0, 5)), crash_step)
            case "lose":
                rabbit.lose_connection()
            case "crash":
                rabbit.crash()
    rabbit.consume()
    rabbit.settle([*range(len(rabbit.in_work))], 0, 0)
    assert not (published - rabbit.answers)
    assert (rabbit.answers - published).total() <= rabbit.may_repeat
    assert (rabbit.notes, rabbit.unacknowledged, len(rabbit.window)) == ({}, {}, 0)


def test_unreadable_notes_are_removed() -> None:
    """The first changes remove them."""
    notes_view = SettledIndexes(0)
    notes_view.adopt(
        {"1-0": Settled(1), f"{'a' * 24}-x": Settled(1), "": Settled(1), f"{'b' * 24}-7": Settled(1)}
    )
    changes = notes_view.collect_changes(Settlement(0), ())
    assert changes is not None
    assert sorted(changes.forgotten) == ["", "1-0", f"{'a' * 24}-x"]
