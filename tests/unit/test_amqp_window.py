"""The window of a channel: what is acknowledged, and when. Properties over any order of settling."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from numbergroup.brokers.amqp.delivery import Delivery, read_properties
from numbergroup.brokers.amqp.redelivery import PartlySettled, Redeliveries, Settled, Settling
from numbergroup.brokers.amqp.window import Acknowledgement, Window
from numbergroup.engine.commands import Entry

BODIES = st.lists(st.sampled_from([b"a", b"bb", b"", b'{"id":"c-1"}']), min_size=1, max_size=30)


def delivery(number: int, body: bytes, *, redelivered: bool = False) -> Delivery:
    return Delivery(number, "numbergroup.commands", body, read_properties({}), redelivered)


def taken(window: Window, number: int, body: bytes) -> Entry:
    entry = window.hold(delivery(number, body))
    assert entry is not None
    return entry


def released(window: Window, room: int, most: int = 1_000) -> list[Acknowledgement]:
    found: list[Acknowledgement] = []
    while (leaving := window.find_acknowledgeable(room, most)).delivery_tags:
        assert len(leaving.delivery_tags) <= most
        window.remove(leaving)
        found += leaving.acknowledgements
    return found


@given(BODIES, st.data())
def test_what_is_acknowledged_was_settled(bodies: list[bytes], data: st.DataObject) -> None:
    """Never more than was settled, never twice; the contiguous beginning at once; beyond it, `room` at most
    is held back; and when all is settled, nothing is left."""
    window = Window(3, 1)
    tags = [taken(window, number, body).tag for number, body in enumerate(bodies, start=1)]
    order = data.draw(st.permutations(range(len(tags))))
    room, most = data.draw(st.integers(0, len(tags))), data.draw(st.integers(1, len(tags)))
    settled: set[int] = set()
    gone: set[int] = set()
    while order:
        several = data.draw(st.integers(1, len(order)))
        now, order = order[:several], order[several:]
        settled.update(position + 1 for position in now)
        assert window.settle([tags[position] for position in now]) == {tags[position]: 1 for position in now}
        for number, multiple in released(window, room, most):
            meant = {n for n in range(1, number + 1) if n not in gone} if multiple else {number}
            assert meant <= settled - gone
            gone |= meant
        beginning = next((n for n in range(1, len(tags) + 1) if n not in settled), len(tags) + 1)
        assert set(range(1, beginning)) <= gone
        assert len(settled - gone) <= room
        assert len(window) == len(tags) - len(gone)
    assert gone == set(range(1, len(tags) + 1))
    assert (len(window), window.bytes, window.received) == (0, 0, len(tags))


@given(BODIES, st.data())
def test_a_message_that_comes_again_has_the_same_name(bodies: list[bytes], data: st.DataObject) -> None:
    """Names are unique among what is held, and the same on another channel."""
    first, second = Window(0, 1), Window(0, 2)
    names = [taken(first, number, body).tag for number, body in enumerate(bodies, start=1)]
    assert len(set(names)) == len(names)
    assert [taken(second, n, body).tag for n, body in enumerate(bodies, start=7)] == names
    kept = data.draw(st.integers(0, len(names)))
    first.settle(names[:kept])
    released(first, 0)
    more = [taken(first, n, body).tag for n, body in enumerate(bodies, start=len(names) + 1)]
    assert len({*names[kept:], *more}) == len(names) - kept + len(more)


def test_what_a_lost_channel_delivered_is_void() -> None:
    window = Window(0, 1)
    entries = [taken(window, number, b"x") for number in (1, 2, 3)]
    window.settle([entries[0].tag])
    released(window, 9)
    window.void()
    assert [entry.awaits_redelivery for entry in entries] == [False, True, True]


def test_names_do_not_grow_for_ever() -> None:
    """A sender that says the same again and again leaves nothing behind."""
    window = Window(0, 1)
    names: set[Any] = set()
    for number in range(1, 1000):
        entry = taken(window, number, b"again")
        names.add(entry.tag)
        window.settle([entry.tag])
        assert released(window, 0) == [(number, True)]
    assert len(names) == 1


@given(BODIES, st.data())
def test_a_message_keeps_its_name_over_lost_channels(bodies: list[bytes], data: st.DataObject) -> None:
    """Whatever equal messages came before it and left: whoever goes by the names finds it under the same."""
    window = Window(0, 1)
    names = [taken(window, number, body).tag for number, body in enumerate(bodies, start=1)]
    for generation in (2, 3):
        gone = data.draw(st.integers(0, len(names)))
        window.settle(names[:gone])
        released(window, 0)
        bodies, names = bodies[gone:], names[gone:]
        window = Window(0, generation, window.void())
        again = [window.hold(delivery(n, body, redelivered=True)) for n, body in enumerate(bodies, start=1)]
        assert [entry and entry.tag for entry in again] == names
        assert not window.redeliveries.clear()


def test_an_array_counts_with_all_its_events() -> None:
    """At most so many answers as a crash may repeat belong to what is acknowledged at once."""
    window = Window(0, 1)
    entries = [taken(window, number, b"%d" % number) for number in range(1, 7)]
    for entry, total in zip(entries, (1, 400, 1, 600, 2_000, 1), strict=True):
        entry.total = total
        window.settle([entry.tag])
    found = []
    while (leaving := window.find_acknowledgeable(0, 1_000)).delivery_tags:
        window.remove(leaving)
        found.append(leaving.delivery_tags)
    assert found == [[1, 2, 3], [4], [5], [6]]


def test_what_comes_again_goes_on_where_it_was() -> None:
    """Answered messages are not worked at again, and are acknowledged in their turn; those in a settlement
    that is being written once it is written; of an array the rest is left to do. The first delivery of an
    equal message is none of them."""
    first = Window(0, 1)
    names = [taken(first, number, body) for number, body in enumerate((b"w", b"t", b"p", b"n"), start=1)]
    whole, in_settlement, part, nothing = names
    first.settle([whole.tag])
    in_settlement.total, part.total = 2, 3
    for entry, index in ((in_settlement, 0), (in_settlement, 1), (part, 1)):
        entry.mark_settled(index)
    window = Window(0, 2, first.void())
    assert window.hold(delivery(1, b"w")) is not None
    found = [
        window.hold(delivery(number, body, redelivered=True))
        for number, body in enumerate((b"w", b"t", b"p", b"n"), start=2)
    ]
    assert found[:2] == [None, None]
    assert [(entry.tag, entry.settled) for entry in found[2:] if entry] == [
        (part.tag, {1}),
        (nothing.tag, frozenset()),
    ]
    assert len({*window.settle([in_settlement.tag])}) == 1
    assert released(window, 1) == [(2, False), (3, False)]
    assert window.redeliveries.clear() == []


def test_a_settlement_that_is_written_before_its_messages_come_again() -> None:
    """They are answered then, and their channel's loss again does not change that."""
    known = Redeliveries()
    known.expect("a-0", Settling(2))
    known.expect("b-0", PartlySettled({1}))
    window = Window(0, 0, known)
    assert window.settle(["a-0", "b-0", "c-0"]) == {"a-0": 2}
    assert window.void().match("a") == ("a-0", Settled(2))
    assert known.match("a") is None
    assert list(known.clear()) == ["b-0"]
