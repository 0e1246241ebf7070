"""Notes on messages that are answered and not acknowledged: over any number of crashes, no message is left
without an answer, and a crash repeats no more answers than were in flight."""

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
LEAVING = 2


@dataclass
class Rabbit:
    """A queue, the ledger's notes, and whoever consumes the one and writes the other."""

    waiting: list[tuple[bytes, bool]] = field(default_factory=list)
    unacknowledged: dict[int, bytes] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    answers: Counter[bytes] = field(default_factory=Counter)
    may_repeat: int = 0
    numbers: int = 0
    in_hand: list[Entry] = field(default_factory=list)
    window: Window = field(default_factory=Window)
    marks: SettledIndexes = field(default_factory=lambda: SettledIndexes(0))

    def consume(self) -> None:
        for body, again in self.waiting:
            self.numbers += 1
            self.unacknowledged[self.numbers] = body
            entry = self.window.hold(
                Delivery(self.numbers, "numbergroup.commands", body, read_properties({}), again)
            )
            if entry is not None:
                self.in_hand.append(entry)
        self.waiting.clear()

    def settle(self, places: list[int], room: int, dies: int) -> None:
        """Answer those in hand; with `dies`, crash before that step of what follows."""
        chosen = [self.in_hand[place] for place in places]
        self.answers.update(entry.body for entry in chosen)
        self.in_hand = [entry for entry in self.in_hand if entry not in chosen]
        for entry in chosen:
            entry.mark_settled(0)
        if dies == 1:
            return self.crash(len(chosen))
        self.marks.add_answered(self.window.settle([entry.tag for entry in chosen]))
        while True:
            if self.window.has_all_redeliveries:
                self.marks.drop_missing(self.window.redeliveries.clear())
            leaving = self.window.find_acknowledgeable(room, LEAVING)
            changes = self.marks.collect_changes(Settlement(0), leaving.entry_tags)
            if changes is not None:
                self.notes = {tag: n for tag, n in self.notes.items() if tag not in changes.forgotten}
                self.notes.update(changes.unacknowledged)
                self.marks.confirm_written(changes)
            if dies == 2 and leaving.delivery_tags:
                return self.crash(len(leaving.delivery_tags))
            if not leaving.delivery_tags:
                return None
            self.window.remove(leaving)
            self.marks.confirm_acknowledged(leaving.entry_tags)
            for number in leaving.delivery_tags:
                del self.unacknowledged[number]

    def lose(self) -> None:
        """The connection, not the process."""
        self.in_hand.clear()
        self.window = Window(0, self.window.generation + 1, self.window.void())
        self._requeue()

    def crash(self, in_flight: int = 0) -> None:
        self.may_repeat += in_flight
        self.in_hand.clear()
        self.marks = SettledIndexes(0)
        states: dict[str, State] = {tag: Settled(total) for tag, total in self.notes.items()}
        self.window = Window(0, 1, self.marks.adopt(states))
        self._requeue()

    def _requeue(self) -> None:
        self.waiting[:0] = [(body, True) for body in self.unacknowledged.values()]
        self.unacknowledged.clear()


@given(st.data())
def test_a_crash_repeats_what_was_in_flight(data: st.DataObject) -> None:
    """Equal messages count each for itself, whether a producer has sent them again or RabbitMQ has."""
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
            case "settle" if rabbit.in_hand:
                places = st.lists(st.integers(0, len(rabbit.in_hand) - 1), min_size=1, unique=True)
                dies = data.draw(st.sampled_from([0, 0, 0, 1, 2]))
                rabbit.settle(data.draw(places), data.draw(st.integers(0, 5)), dies)
            case "lose":
                rabbit.lose()
            case "crash":
                rabbit.crash()
    rabbit.consume()
    rabbit.settle([*range(len(rabbit.in_hand))], 0, 0)
    assert not (published - rabbit.answers)
    assert (rabbit.answers - published).total() <= rabbit.may_repeat
    assert (rabbit.notes, rabbit.unacknowledged, len(rabbit.window)) == ({}, {}, 0)


def test_notes_that_nobody_can_read_are_removed() -> None:
    """Whatever somebody wrote there, in the first unit."""
    marks = SettledIndexes(0)
    marks.adopt({"1-0": Settled(1), f"{'a' * 24}-x": Settled(1), "": Settled(1), f"{'b' * 24}-7": Settled(1)})
    changes = marks.collect_changes(Settlement(0), ())
    assert changes is not None
    assert sorted(changes.forgotten) == ["", "1-0", f"{'a' * 24}-x"]
