"""Finding the message that workers die of, and no other."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_crashes import World

from worker.engine.probation import Caution, History, InHand, Probation

SEEDS = st.integers(0, 2**32)
CAUTIONS = st.builds(Caution, max_crashes=st.integers(3, 8), max_pending=st.integers(1, 60))


def world(seed: int, caution: Caution, size: int) -> World:
    return World([*range(size)], caution, Random(seed))


def culprits(chance: Random, size: int, count: int) -> frozenset[int]:
    return frozenset(chance.sample(range(size), min(size, count)))


@given(SEEDS, CAUTIONS, st.integers(1, 200), st.booleans())
def test_a_culprit_is_found(seed: int, caution: Caution, size: int, reading: bool) -> None:
    """Wherever it is in whatever backlog, and whether it kills who reads it or who carries it out: after K
    crashes it is condemned, and everything else is settled."""
    one = world(seed, caution, size)
    culprit = culprits(one.random, size, 1)
    one.kills_reader, one.kills_caller = (
        (culprit, frozenset[int]()) if reading else (frozenset[int](), culprit)
    )
    one.run()
    assert one.condemned == [*culprit]
    assert one.crashes == caution.max_crashes
    assert sorted(one.settled) == one.backlog


@given(SEEDS, CAUTIONS, st.integers(1, 5))
def test_several_culprits_are_found_one_by_one(seed: int, caution: Caution, count: int) -> None:
    """Each costs K crashes at the most, and nobody else is condemned."""
    one = world(seed, caution, 100)
    both = culprits(one.random, 100, 2 * count)
    one.kills_reader = frozenset([*both][:count])
    one.kills_caller = both - one.kills_reader
    one.run()
    assert sorted(one.condemned) == sorted(both)
    assert one.crashes <= caution.max_crashes * len(both)
    assert sorted(one.settled) == one.backlog


@given(SEEDS, CAUTIONS)
def test_equal_messages_are_equally_bad(seed: int, caution: Caution) -> None:
    """Whoever published a deadly message ten times over costs no more workers than who did it once, as long
    as the one that found it lives."""
    one = world(seed, caution, 50)
    one.backlog += [7] * 10
    one.random.shuffle(one.backlog)
    one.kills_reader = frozenset({7})
    one.run()
    assert one.condemned == [7] * 11
    assert one.crashes == caution.max_crashes


@given(SEEDS, CAUTIONS, st.floats(0.0, 0.5), st.integers(0, 3))
def test_accidents(seed: int, caution: Caution, often: float, count: int) -> None:
    """Workers die of other things, too, and are stopped well, and groups are stuck: whoever is condemned was
    in hand time and again, and alone at the end (the world checks it); and it comes to an end."""
    one = world(seed, caution, 60)
    one.kills_reader = culprits(one.random, 60, count)
    one.stuck = culprits(one.random, 60, 3) - one.kills_reader
    accidents = iter([one.random.random() < often for _ in range(300)])
    one.accident = lambda: next(accidents, False)
    one.clean_end = lambda: one.random.random() < 0.02
    one.run()
    assert one.kills_reader <= {*one.condemned}
    assert sorted(one.settled) == one.backlog


@given(SEEDS, CAUTIONS, st.integers(3, 20))
def test_crashes_before_anything_is_in_hand(seed: int, caution: Caution, times: int) -> None:
    """However often workers die at their start: nobody is condemned for it."""
    history = History()
    for _ in range(times):
        history = history.after(InHand(), caution.max_crashes)
    assert history == History(2)


@given(CAUTIONS)
def test_fewer_and_fewer(caution: Caution) -> None:
    """Nothing is limited after a single crash; then ever less is in hand, and at last one."""
    limits = [caution.limit(crashes) for crashes in range(caution.max_crashes)]
    assert limits[:2] == [None, None]
    counts = [caution.max_pending, *(most for most in limits if most is not None)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1


def test_the_usual_limits() -> None:
    """What the operators are told."""
    assert [Caution().limit(crashes) for crashes in range(6)] == [None, None, 141, 1, 1, 1]


def test_no_more_is_in_hand_than_the_crashes_allow() -> None:
    one = world(1, Caution(5, 1000), 3000)
    one.kills_caller = frozenset({1500})
    one.run()
    assert {
        crashes: most <= (one.caution.limit(crashes) or 0) for crashes, most in one.most_in_hand.items()
    } == {
        2: True,
        3: True,
        4: True,
        5: True,
    }


CAUTION = Caution(max_crashes=5, max_pending=8, patience_s=30.0)


def on_probation(*suspects: str, crashes: int = 4) -> Probation:
    return Probation(History(crashes, suspects), CAUTION, 0.0)


def test_suspects_and_others_are_never_in_hand_together() -> None:
    """Those that nobody has accused go on in numbers, between the suspects that go one by one."""
    probation = on_probation("a", "b")
    assert probation.room(["x", "y", "a", "b"], 1.0) == 2
    probation.let_in(["1", "2"], ["x", "y"], 1.0)
    assert probation.room(["a", "b"], 1.0) == 0
    probation.settled(["1", "2"], 2.0)
    assert probation.room(["a", "b"], 2.0) == 1
    probation.let_in(["3"], ["a"], 2.0)
    assert probation.room(["z"], 2.0) == 0


def test_over_when_all_suspects_were_survived() -> None:
    """Settled, or lived with: the others need not be waited for."""
    probation = on_probation("a", "b")
    probation.let_in(["1"], ["a"], 1.0)
    probation.settled(["1"], 2.0)
    assert not probation.over(2.0)
    probation.let_in(["2"], ["b"], 2.0)
    assert not probation.over(31.9)
    assert probation.over(32.0)


def test_a_stuck_message_holds_the_others_up_for_a_while() -> None:
    """It is waited for, and then lived with: what comes next is let in, and noted beside it."""
    probation = on_probation("a", "b")
    probation.let_in(["1"], ["a"], 0.0)
    assert probation.room(["b"], 29.9) == 0
    assert probation.room(["b"], 30.0) == 1
    probation.let_in(["2"], ["b"], 30.0)
    assert probation.in_hand() == InHand(("b",), ("a",))


def test_the_condemned_is_not_lived_with() -> None:
    """Until its letter is durable it is remembered, however long that takes."""
    probation = Probation(History(5, ("a",), "a"), CAUTION, 0.0)
    probation.let_in(["1"], ["a"], 0.0)
    assert not probation.over(500.0)
    probation.settled(["1"], 500.0)
    assert probation.over(500.0)


def test_over_after_what_may_have_been_in_hand() -> None:
    """Without suspects: after as many messages as there may have been, or a quiet while, or a long life."""
    for crashes in (1, 2):
        probation = on_probation(crashes=crashes)
        tags = [str(n) for n in range(8)]
        probation.let_in(tags, tags, 0.0)
        probation.settled(tags[:7], 1.0)
        assert not probation.over(29.0)
        probation.settled(tags[7:], 1.0)
        assert probation.over(1.0)
        assert not on_probation(crashes=crashes).idle(29.9)
        assert on_probation(crashes=crashes).idle(30.0)
        busy = on_probation(crashes=crashes)
        busy.let_in(["1"], ["1"], 590.0)
        assert not busy.over(599.9)
        assert busy.over(600.0)


def test_who_must_wait_is_not_idle() -> None:
    """While others are let in first, what waits is as suspect as before."""
    probation = on_probation("a", "b")
    probation.let_in(["1"], ["b"], 0.0)
    assert not probation.idle(100.0)
    probation.settled(["1"], 100.0)
    assert probation.room([], 129.0) == 0
    assert not probation.idle(130.0)
    assert not probation.over(130.0)
    assert probation.idle(159.0)


def test_what_the_broker_takes_back_and_delivers_again() -> None:
    """It is not waited for beside itself."""
    probation = on_probation("a")
    probation.let_in(["1"], ["a"], 0.0)
    probation.come_again(["1"])
    assert probation.room(["a"], 1.0) == 1
    probation.let_in(["1"], ["a"], 1.0)
    assert probation.in_hand() == InHand(("a",))


@pytest.mark.parametrize("company", [InHand(("a",), ("b",)), InHand(("a",), (), elsewhere=True)])
def test_in_company(company: InHand) -> None:
    """Dead with something beside it that had been lived with, or in another partition, it takes twice as
    many crashes until it is condemned."""
    history = History(4, ("a", "b"))
    for crashes in range(5, 10):
        history = history.after(company, 5)
        assert (history.crashes, history.condemned) == (crashes, None)
    assert history.after(company, 5).condemned == "a"
    assert history.after(InHand(("a",)), 5).condemned == "a"


def test_a_crash_that_no_suspect_can_be_blamed_for() -> None:
    """Whatever was in hand is suspected, from the beginning."""
    assert History(4, ("a", "b")).after(InHand(("x",)), 5) == History(3, ("x",))


def test_the_condemned_kills_once_more() -> None:
    """Who died of looking for its id only: it is not even looked at any more. Another's crash forgets it."""
    condemned = History(5, ("a",), "a")
    assert condemned.after(InHand(("a",)), 5) == History(5, ("a",), "a", unread=True)
    assert condemned.after(InHand(), 5) == condemned
    assert condemned.after(InHand(("x",)), 5) == History(3, ("x",))
