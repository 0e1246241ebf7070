"""Find what kills workers, and blame nothing else."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_crashes import World

from numbergroup.engine.partition.poison_detection import (
    CrashPolicy,
    History,
    InHand,
    PoisonDetection,
    Step,
    Suspect,
)
from numbergroup.engine.precautions import Precautions

SEEDS = st.integers(0, 2**32)
CAUTIONS = st.builds(CrashPolicy, max_crashes=st.integers(3, 8), max_pending=st.integers(1, 60))
STEPS = st.sampled_from([Step.DECODE, Step.PLAN, Step.SETTLE])
CAUTION = CrashPolicy(max_crashes=3, max_pending=16, idle_s=30.0)


def world(seed: int, caution: CrashPolicy, size: int) -> World:
    return World([*range(size)], caution, Random(seed))


@given(SEEDS, CAUTIONS, st.integers(1, 200), STEPS)
def test_poison_is_found(seed: int, caution: CrashPolicy, size: int, step: Step) -> None:
    """Wherever it is in whatever backlog, and in whichever step it kills: it costs two crashes that nobody
    notes, one that finds the suspects, and `max_crashes` alone. Everything else is settled."""
    one = world(seed, caution, size)
    culprit = one.random.randrange(size)
    one.kills = {culprit: step}
    one.run()
    assert one.condemned == [culprit]
    assert one.crashes <= 2 + 1 + caution.max_crashes
    assert one.settled == one.backlog


@given(SEEDS, CAUTIONS, st.lists(STEPS, min_size=1, max_size=6))
def test_several_poisons_are_found(seed: int, caution: CrashPolicy, steps: list[Step]) -> None:
    """Each costs one crash and `max_crashes` at most, and nothing else is condemned."""
    one = world(seed, caution, 100)
    one.kills = dict(zip(one.random.sample(range(100), len(steps)), steps, strict=True))
    one.run()
    assert one.condemned == sorted(one.kills)
    assert one.crashes <= 2 + (1 + caution.max_crashes) * len(steps)
    assert one.settled == one.backlog


@given(SEEDS, CAUTIONS, STEPS)
def test_copies_of_a_poison(seed: int, caution: CrashPolicy, step: Step) -> None:
    """Equal messages cost no more workers than one, and all of them are condemned."""
    one = world(seed, caution, 50)
    one.backlog += [7] * 10
    one.random.shuffle(one.backlog)
    one.kills = {7: step}
    one.run()
    assert one.condemned == [7] * 11
    assert one.crashes <= 2 + 1 + caution.max_crashes


@given(SEEDS, st.integers(5, 8), st.floats(0.0, 0.9), st.lists(STEPS, max_size=2))
def test_kills_from_outside(seed: int, most: int, often: float, steps: list[Step]) -> None:
    """A hundred kills between two steps, and now and then one in a step: no innocent is condemned, and what
    kills by itself is still found."""
    one = world(seed, CrashPolicy(most, 60), 60)
    one.kills = dict(zip(one.random.sample(range(60), len(steps)), steps, strict=True))
    left = 100

    def killed(in_step: bool) -> bool:
        nonlocal left
        left -= (hit := left > 0 and one.random.random() < (often / 20 if in_step else often))
        return hit

    one.killed = killed
    one.run()
    assert sorted(one.condemned) == sorted(one.kills)
    assert one.settled == one.backlog


@given(SEEDS)
def test_a_stuck_command_is_no_suspect(seed: int) -> None:
    """What merely waits is in no step: however often the owner is killed then, nothing is blamed."""
    history = History()
    for _ in range(100):
        history = history.with_crash(InHand())
    assert history == History(100)


def test_no_more_is_in_hand_than_the_square_root() -> None:
    """What is no suspect goes on in numbers, but not in such numbers that a crash says nothing."""
    one = world(1, CrashPolicy(5, 1000), 3000)
    one.kills = {1500: Step.PLAN}
    one.run()
    assert one.most_in_hand == CrashPolicy(5, 1000).batch_limit == 31
    assert CrashPolicy().batch_limit == 141


def test_only_the_same_step_counts() -> None:
    """Deaths in different steps do not add up."""
    history = History(2)
    for step in (Step.DECODE, Step.PLAN, Step.SETTLE):
        history = history.with_crash(InHand(step, ("a",)))
    assert [one.deaths for one in history.suspects] == [1, 1, 1]
    assert not PoisonDetection(history, CAUTION, 0.0).condemned


def test_only_what_is_alone_is_counted() -> None:
    """What dies in company is suspected, and no more."""
    history = History(2)
    for _ in range(10):
        history = history.with_crash(InHand(Step.PLAN, ("a", "b")))
    assert history.suspects == (Suspect(Step.PLAN, "a"), Suspect(Step.PLAN, "b"))


def test_a_step_that_goes_well_clears() -> None:
    """Whatever has counted against it in that step is forgotten; in another step, it is not."""
    suspects = (Suspect(Step.PLAN, "a", 2), Suspect(Step.SEND, "a", 2), Suspect(Step.PLAN, "b", 2))
    detection = PoisonDetection(History(7, suspects), CAUTION, 0.0)
    assert detection.on_step_survived(InHand(Step.PLAN, ("a",)), 1.0)
    assert detection.history == History(7, suspects[1:])
    assert not detection.on_step_survived(InHand(Step.DECODE, ("a",)), 1.0)
    assert detection.on_step_survived(InHand(Step.SETTLE, ("a",)), 1.0)
    assert detection.history == History(7, suspects[2:])


def test_the_condemned_stay() -> None:
    """RabbitMQ may deliver it again after its answer, and there may be copies."""
    history = History(7, (Suspect(Step.PLAN, "a", 3),))
    detection = PoisonDetection(history, CAUTION, 0.0)
    assert detection.condemned == {"a": 3}
    assert not detection.on_step_survived(InHand(Step.SETTLE, ("a",)), 1.0)
    assert detection.history == history


def test_a_message_that_must_not_be_read() -> None:
    """It killed two more workers that read no more than its beginning."""
    for deaths, unread in ((3, False), (4, False), (5, True)):
        history = History(7, (Suspect(Step.DECODE, "a", deaths),))
        assert PoisonDetection(history, CAUTION, 0.0).must_not_be_read("a") is unread


def test_suspects_go_alone() -> None:
    """They are in no batch with others; those go on in numbers between them."""
    precautions = Precautions(4, {"c", "d"}, {})
    lengths = [precautions.batch_length(digests, len(digests)) for digests in ("abcd", "cdab", "d", "abef")]
    assert lengths == [2, 1, 1, 4]
    assert precautions.batch_length("abefgh", 6) == 4
    assert precautions.batch_length("ab", 1) == 1


def test_over_when_all_suspects_are_explained() -> None:
    """Cleared, or condemned and answered: as soon as nothing else waits, work goes on as usual."""
    suspects = (Suspect(Step.PLAN, "a", 1), Suspect(Step.DECODE, "b", 3))
    detection = PoisonDetection(History(7, suspects), CAUTION, 0.0)
    detection.on_step_survived(InHand(Step.PLAN, ("a",)), 1.0)
    detection.on_step_survived(InHand(Step.DECODE, ("b",)), 1.0)
    assert not detection.is_over(1.0, 0)
    detection.on_step_survived(InHand(Step.SETTLE, ("b",)), 1.0)
    assert not detection.is_over(1.0, 1)
    assert detection.is_over(1.0, 0)


@pytest.mark.parametrize("crashes", [1, 2, 7])
def test_nothing_is_suspected_for_ever(crashes: int) -> None:
    """A while without anything to do, or a long life, ends it."""
    suspects = (Suspect(Step.PLAN, "a", 2),)
    busy = PoisonDetection(History(crashes, suspects), CAUTION, 0.0)
    assert not busy.is_over(599.9, 1)
    assert busy.is_over(600.0, 1)
    idle = PoisonDetection(History(crashes, suspects), CAUTION, 0.0)
    assert not idle.is_over(10.0, 1)
    assert not idle.is_over(39.9, 0)
    assert idle.is_over(40.0, 0)


def test_two_crashes_change_nothing() -> None:
    """Nothing is noted, and no batch is smaller, before workers have died twice."""
    for crashes, is_noting in ((0, False), (1, False), (2, True)):
        detection = PoisonDetection(History(crashes), CAUTION, 0.0)
        assert detection.is_recording is is_noting
        assert (detection.precautions is not None) is is_noting
