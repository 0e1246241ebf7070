"""The breaker: when calls stop, and how they come back."""

from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.account.breaker import Breaker, BreakerState
from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.engine.policy import BreakerNotice, BreakerPolicy

POLICY = BreakerPolicy()
MOST = 16


def group(name: object) -> GroupRef:
    return GroupRef("default", HandleKind.ID, f"g-{name}")


def opened(*, jitter: float = 0.5) -> Breaker:
    breaker = Breaker(POLICY)
    for n in range(POLICY.least_failures):
        breaker.on_failure(group(n), 0.0, jitter, probe=False)
    assert breaker.state is BreakerState.OPEN
    return breaker


def probed(breaker: Breaker, *, ok: bool, jitter: float = 0.5) -> float:
    """Probe as soon as it may be; when that was."""
    now = breaker.until
    assert breaker.count_slots(now, MOST) == 1
    if ok:
        breaker.on_success(now, jitter, probe=True)
    else:
        breaker.on_failure(group(0), now, jitter, probe=True)
    return now


def test_one_group_alone_never_opens_it() -> None:
    """A group whose every call fails is that group's trouble: the others need not wait for it."""
    breaker = Breaker(POLICY)
    for n in range(100):
        breaker.on_failure(group(1), n / 10, 0.5, probe=False)
    assert breaker.count_slots(10.0, MOST) == MOST


def test_few_failing_calls_among_many_do_not_open_it() -> None:
    """It goes by the share of calls that fail: four of ten are not enough, five are."""
    breaker = Breaker(POLICY)
    for n in range(10):
        if n % 10 < 4:
            breaker.on_failure(group(n), 0.0, 0.5, probe=False)
        else:
            breaker.on_success(0.0, 0.5, probe=False)
    assert breaker.state is BreakerState.CLOSED
    for n in range(2):
        breaker.on_failure(group(n), 0.0, 0.5, probe=False)
    assert breaker.state is BreakerState.OPEN


def test_what_failed_long_ago_does_not_count() -> None:
    """Five failures over five minutes, with nothing between them, do not open it."""
    breaker = Breaker(POLICY)
    for n in range(10):
        breaker.on_failure(group(n), n * POLICY.window_s, 0.5, probe=False)
    assert breaker.state is BreakerState.CLOSED


def test_nothing_goes_out_while_it_is_open_and_then_one_probe() -> None:
    """No slot before its time has come, one afterwards."""
    breaker = opened()
    assert breaker.count_slots(breaker.until - 0.001, MOST) == 0
    assert breaker.count_slots(breaker.until + 1e6, MOST) == 1


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=12, max_size=12))
def test_probes_that_fail_make_it_wait_longer_up_to_a_minute(jitters: list[float]) -> None:
    """Each wait is twice the last one's ceiling, half of it certain, the rest jitter; never over a minute."""
    breaker = opened(jitter=jitters[0])
    waits = [breaker.until]
    for jitter in jitters[1:]:
        now = probed(breaker, ok=False, jitter=jitter)
        waits.append(breaker.until - now)
    for n, wait in enumerate(waits):
        ceiling = min(60.0, 2.0**n)
        assert ceiling / 2 - 1e-9 <= wait <= ceiling + 1e-9


@given(st.floats(0, 1, exclude_max=True), st.lists(st.floats(0, 12), min_size=2, max_size=20).map(sorted))
def test_slots_come_back_one_by_one(jitter: float, times: list[float]) -> None:
    """After a probe that went through, there is one slot, then ever more, and all of them in the end."""
    breaker = opened()
    began = probed(breaker, ok=True, jitter=jitter)
    slots = [breaker.count_slots(began + after, MOST) for after in times]
    assert breaker.count_slots(began, MOST) == 1
    assert slots == sorted(slots)
    assert breaker.count_slots(began + POLICY.ramp_s, MOST) == MOST


def test_two_groups_that_fail_in_the_ramp_open_it_again_for_longer() -> None:
    """A vendor that comes back for one call only is left alone for longer than before."""
    breaker = opened()
    now = probed(breaker, ok=True)
    first = breaker.failures
    breaker.on_failure(group(1), now, 0.5, probe=False)
    assert breaker.state is BreakerState.RAMPING
    breaker.on_failure(group(2), now, 0.5, probe=False)
    assert (breaker.state, breaker.failures) == (BreakerState.OPEN, first + 1)


def test_a_ramp_that_is_survived_makes_the_next_wait_short_again() -> None:
    """Once all slots are back, what was is forgotten."""
    breaker = opened()
    for _ in range(5):
        probed(breaker, ok=False)
    probed(breaker, ok=True)
    later = breaker.until
    breaker.on_success(later, 0.5, probe=False)
    assert breaker.state is BreakerState.CLOSED
    for n in range(POLICY.least_failures):
        breaker.on_failure(group(n), later + 60, 0.5, probe=False)
    assert breaker.until - (later + 60) <= POLICY.open_s[0]


def test_a_worker_without_calls_is_over_it_as_well() -> None:
    """One that stands by, and was only told, does not ramp for ever."""
    breaker = Breaker(POLICY)
    breaker.on_notice(BreakerNotice(30.0, 4), 10.0, 0.5)
    breaker.on_notice(None, 20.0, 0.5)
    breaker.on_notice(None, 20.0 + POLICY.ramp_s, 0.5)
    assert (breaker.state, breaker.failures) == (BreakerState.CLOSED, 0)


def test_what_was_on_its_way_when_it_opened_changes_nothing() -> None:
    """Answers to calls that were made before say nothing about now, good or bad."""
    breaker = opened()
    until = breaker.until
    breaker.on_failure(group(7), 0.1, 0.5, probe=False)
    breaker.on_success(0.1, 0.5, probe=False)
    assert (breaker.state, breaker.until, breaker.failures) == (BreakerState.OPEN, until, 1)


def test_what_one_worker_saw_the_others_believe() -> None:
    """Told that it is open, a worker that has seen no failure stops, too; told that it is not, it ramps."""
    breaker = Breaker(POLICY)
    breaker.on_notice(BreakerNotice(30.0, 4), 10.0, 0.5)
    assert breaker.count_slots(29.9, MOST) == 0
    breaker.on_notice(None, 20.0, 0.5)
    assert breaker.count_slots(20.0, MOST) == 1
    assert breaker.count_slots(20.0 + POLICY.ramp_s, MOST) == MOST


def test_a_notice_that_is_not_there_yet_closes_nothing() -> None:
    """Between opening it and the ledger's knowing of it, hearing nothing means nothing."""
    breaker = opened()
    breaker.on_notice(None, 0.1, 0.5)
    assert breaker.state is BreakerState.OPEN


def test_a_notice_is_heard_after_its_time() -> None:
    """The first waits are shorter than it takes to hear of them: a probe may be under way, so that only
    another probe may be made. Found by simulation."""
    breaker = Breaker(POLICY)
    breaker.on_notice(BreakerNotice(30.0, 1), 30.9, 0.5)
    assert breaker.count_slots(31.0, MOST) == 0
    assert breaker.count_slots(31.4, MOST) == 1


def test_an_old_notice_opens_nothing() -> None:
    """Who left it may be dead: what it says is past."""
    breaker = Breaker(POLICY)
    breaker.on_notice(BreakerNotice(30.0, 4), 60.0, 0.5)
    assert breaker.count_slots(60.0, MOST) == MOST


def test_workers_do_not_probe_at_the_same_moment() -> None:
    """Each that was told waits for a moment of its own."""
    moments = set()
    for jitter in (0.1, 0.5, 0.9):
        breaker = Breaker(POLICY)
        breaker.on_notice(BreakerNotice(30.0, 1), 10.0, jitter)
        moments.add(breaker.until)
    assert len(moments) == 3


def test_an_old_notice_does_not_end_a_ramp() -> None:
    """The notice that was there before the probe went through is not taken for a new one."""
    breaker = opened()
    notice = breaker.notice
    began = probed(breaker, ok=True)
    breaker.on_notice(notice, began, 0.5)
    assert breaker.state is BreakerState.RAMPING
