"""The window of a channel: what is acknowledged, and when, over any order of settling."""

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


def hold(window: Window, number: int, body: bytes) -> Entry:
    entry = window.hold(delivery(number, body))
    assert entry is not None
    return entry


def acknowledge(window: Window, max_retained: int, max_events: int = 1_000) -> list[Acknowledgement]:
    acknowledgements: list[Acknowledgement] = []
    while (messages := window.find_acknowledgeable(max_retained, max_events)).delivery_tags:
        assert len(messages.delivery_tags) <= max_events
        window.remove(messages)
        acknowledgements += messages.acknowledgements
    return acknowledgements


@given(BODIES, st.data())
def test_what_is_acknowledged_was_settled(bodies: list[bytes], data: st.DataObject) -> None:
    """Only settled messages are acknowledged, once each.

    Those before the first unsettled one are acknowledged at once; of the others, at most `max_retained` wait.
    When all are settled, none is left.
    """
    window = Window(3, 1)
    tags = [hold(window, number, body).tag for number, body in enumerate(bodies, start=1)]
    order = data.draw(st.permutations(range(len(tags))))
    max_retained, max_events = data.draw(st.integers(0, len(tags))), data.draw(st.integers(1, len(tags)))
    settled: set[int] = set()
    acknowledged: set[int] = set()
    while order:
        count = data.draw(st.integers(1, len(order)))
        chosen, order = order[:count], order[count:]
        settled.update(position + 1 for position in chosen)
        assert window.settle([tags[position] for position in chosen]) == {
            tags[position]: 1 for position in chosen
        }
        for number, multiple in acknowledge(window, max_retained, max_events):
            covered = {n for n in range(1, number + 1) if n not in acknowledged} if multiple else {number}
            assert covered <= settled - acknowledged
            acknowledged |= covered
        beginning = next((n for n in range(1, len(tags) + 1) if n not in settled), len(tags) + 1)
        assert set(range(1, beginning)) <= acknowledged
        assert len(settled - acknowledged) <= max_retained
        assert len(window) == len(tags) - len(acknowledged)
    assert acknowledged == set(range(1, len(tags) + 1))
    assert (len(window), window.bytes, window.received) == (0, 0, len(tags))


@given(BODIES, st.data())
def test_tags_do_not_depend_on_the_channel(bodies: list[bytes], data: st.DataObject) -> None:
    """Tags are unique among held messages, and the same on another channel."""
    first, second = Window(0, 1), Window(0, 2)
    tags = [hold(first, number, body).tag for number, body in enumerate(bodies, start=1)]
    assert len(set(tags)) == len(tags)
    assert [hold(second, n, body).tag for n, body in enumerate(bodies, start=7)] == tags
    kept = data.draw(st.integers(0, len(tags)))
    first.settle(tags[:kept])
    acknowledge(first, 0)
    more = [hold(first, n, body).tag for n, body in enumerate(bodies, start=len(tags) + 1)]
    assert len({*tags[kept:], *more}) == len(tags) - kept + len(more)


def test_entries_of_a_lost_channel_await_redelivery() -> None:
    window = Window(0, 1)
    entries = [hold(window, number, b"x") for number in (1, 2, 3)]
    window.settle([entries[0].tag])
    acknowledge(window, 9)
    window.void()
    assert [entry.awaits_redelivery for entry in entries] == [False, True, True]


def test_tags_are_reused() -> None:
    """Equal messages, one after the other, get the same tag: nothing is remembered of acknowledged ones."""
    window = Window(0, 1)
    tags: set[Any] = set()
    for number in range(1, 1000):
        entry = hold(window, number, b"again")
        tags.add(entry.tag)
        window.settle([entry.tag])
        assert acknowledge(window, 0) == [(number, True)]
    assert len(tags) == 1


@given(BODIES, st.data())
def test_a_message_keeps_its_tag_over_lost_channels(bodies: list[bytes], data: st.DataObject) -> None:
    """It does so even if equal messages before it were acknowledged."""
    window = Window(0, 1)
    tags = [hold(window, number, body).tag for number, body in enumerate(bodies, start=1)]
    for generation in (2, 3):
        acknowledged = data.draw(st.integers(0, len(tags)))
        window.settle(tags[:acknowledged])
        acknowledge(window, 0)
        bodies, tags = bodies[acknowledged:], tags[acknowledged:]
        window = Window(0, generation, window.void())
        redelivered = [
            window.hold(delivery(n, body, redelivered=True)) for n, body in enumerate(bodies, start=1)
        ]
        assert [entry and entry.tag for entry in redelivered] == tags
        assert not window.redeliveries.clear()


def test_an_array_counts_with_all_its_events() -> None:
    """What is acknowledged at once has at most `max_events` events: a crash may repeat their results."""
    window = Window(0, 1)
    entries = [hold(window, number, b"%d" % number) for number in range(1, 7)]
    for entry, total in zip(entries, (1, 400, 1, 600, 2_000, 1), strict=True):
        entry.total = total
        window.settle([entry.tag])
    parts = []
    while (messages := window.find_acknowledgeable(0, 1_000)).delivery_tags:
        window.remove(messages)
        parts.append(messages.delivery_tags)
    assert parts == [[1, 2, 3], [4], [5], [6]]


def test_redeliveries_continue_where_they_were() -> None:
    """An answered message is only acknowledged, and so is one in a settlement, once that is written.

    Of an array, the unsettled events are processed. A first delivery of an equal message is processed.
    """
    first = Window(0, 1)
    entries = [hold(first, number, body) for number, body in enumerate((b"w", b"t", b"p", b"n"), start=1)]
    whole, in_settlement, part, nothing = entries
    first.settle([whole.tag])
    in_settlement.total, part.total = 2, 3
    for entry, index in ((in_settlement, 0), (in_settlement, 1), (part, 1)):
        entry.mark_settled(index)
    window = Window(0, 2, first.void())
    assert window.hold(delivery(1, b"w")) is not None
    again = [
        window.hold(delivery(number, body, redelivered=True))
        for number, body in enumerate((b"w", b"t", b"p", b"n"), start=2)
    ]
    assert again[:2] == [None, None]
    assert [(entry.tag, entry.settled) for entry in again[2:] if entry] == [
        (part.tag, {1}),
        (nothing.tag, frozenset()),
    ]
    assert len({*window.settle([in_settlement.tag])}) == 1
    assert acknowledge(window, 1) == [(2, False), (3, False)]
    assert window.redeliveries.clear() == []


def test_a_settlement_that_is_written_before_the_redelivery() -> None:
    """Its messages are settled then, and remain so if another channel is lost."""
    redeliveries = Redeliveries()
    redeliveries.expect("a-0", Settling(2))
    redeliveries.expect("b-0", PartlySettled({1}))
    window = Window(0, 0, redeliveries)
    assert window.settle(["a-0", "b-0", "c-0"]) == {"a-0": 2}
    assert window.void().match("a") == ("a-0", Settled(2))
    assert redeliveries.match("a") is None
    assert list(redeliveries.clear()) == ["b-0"]
