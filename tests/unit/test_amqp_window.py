"""The window of a channel: what is acknowledged, and when. Properties over any order of settling."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.brokers.amqp.delivery import Delivery, said_in
from worker.brokers.amqp.window import Window

BODIES = st.lists(st.sampled_from([b"a", b"bb", b"", b'{"id":"c-1"}']), min_size=1, max_size=30)


def delivery(number: int, body: bytes) -> Delivery:
    return Delivery(number, "numbergroup.commands", body, said_in({}), redelivered=False)


@given(BODIES, st.data())
def test_what_is_acknowledged_was_settled(bodies: list[bytes], data: st.DataObject) -> None:
    """Never more than was settled, never twice; the contiguous beginning at once; beyond it, `room` at most
    is held back; and when all is settled, nothing is left."""
    window = Window(3, 1)
    tags = [window.add(delivery(number, body)).tag for number, body in enumerate(bodies, start=1)]
    order = data.draw(st.permutations(range(len(tags))))
    room = data.draw(st.integers(0, len(tags)))
    settled: set[int] = set()
    gone: set[int] = set()
    while order:
        several = data.draw(st.integers(1, len(order)))
        now, order = order[:several], order[several:]
        settled.update(position + 1 for position in now)
        for number, multiple in window.settle([tags[position] for position in now], room):
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
    names = [first.add(delivery(number, body)).tag for number, body in enumerate(bodies, start=1)]
    assert len(set(names)) == len(names)
    assert [second.add(delivery(n, body)).tag for n, body in enumerate(bodies, start=7)] == names
    kept = data.draw(st.integers(0, len(names)))
    first.settle(names[:kept], 0)
    more = [first.add(delivery(n, body)).tag for n, body in enumerate(bodies, start=len(names) + 1)]
    assert len({*names[kept:], *more}) == len(names) - kept + len(more)


def test_what_a_lost_channel_delivered_is_void() -> None:
    window = Window(0, 1)
    entries = [window.add(delivery(number, b"x")) for number in (1, 2, 3)]
    window.settle([entries[0].tag], 9)
    window.void()
    assert [entry.void for entry in entries] == [False, True, True]


def test_names_do_not_grow_for_ever() -> None:
    """A sender that says the same again and again leaves nothing behind."""
    window = Window(0, 1)
    names: set[Any] = set()
    for number in range(1, 1000):
        entry = window.add(delivery(number, b"again"))
        names.add(entry.tag)
        assert window.settle([entry.tag], 0) == [(number, True)]
    assert len(names) == 1
