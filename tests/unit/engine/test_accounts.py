"""Accounts: slots, permits and pauses."""

import pytest
from engine_bench import UNREACHABLE, Bench
from engine_commands import add

from numbergroup.engine.calls import AccountFault, Applied, Outcome, Throttled, Unavailable
from numbergroup.engine.commands import GroupRef, HandleKind

FAULT = AccountFault("1003", "invalid signature")
ASKS_TO_WAIT = Unavailable("bad gateway", True, "http-502", retry_after_s=7.0, whole_service=True)


def throttled(retry_after_s: float | None) -> Throttled:
    return Throttled(retry_after_s, "429", "slow down")


def busy(groups: int, *, permits: int | None = None) -> Bench:
    """A bench with so many groups, and so many calls in flight."""
    bench = Bench(max_in_flight=16)
    bench.deliver(*(add(f"c{n}", "a", GroupRef("default", HandleKind.ID, f"g-{n}")) for n in range(groups)))
    for _ in range(groups if permits is None else permits):
        bench.grant()
    return bench


@pytest.mark.parametrize(
    ("outcome", "pause_s"),
    [
        (throttled(7.0), 7.0),
        (throttled(None), 1.0),
        (throttled(-5.0), 0.0),
        (throttled(1e12), 3600.0),
        (FAULT, 5.0),
    ],
)
def test_nothing_starts_before_a_pause_ends(outcome: Outcome, pause_s: float) -> None:
    """As long as the vendor said (within reason), no permit is asked for and none is used."""
    bench = busy(2, permits=1)
    bench.answer(outcome)
    if pause_s:
        bench.grant()
        bench.wait(pause_s - 0.001)
        assert (bench.permits_wanted, len(bench.flights)) == (0, 0)
    bench.wait(0.001)
    assert bench.permits_wanted >= 1
    bench.grant()
    assert len(bench.flights) == 1


@pytest.mark.parametrize("outcome", [throttled(7.0), ASKS_TO_WAIT])
def test_an_earlier_call_does_not_end_a_pause(outcome: Outcome) -> None:
    """A call that was in flight when the vendor asked to wait is answered normally. A third call, which
    failed before, is not sent again until the vendor's time is over."""
    bench = busy(3)
    assert bench.engine.may_retry("default", bench.now)
    bench.answer(outcome)
    bench.answer(Applied("r1"))
    assert not bench.engine.may_retry("default", bench.now + 6.999)
    assert bench.engine.may_retry("default", bench.now + 7.0)


@pytest.mark.parametrize(("outcome", "first_s"), [(throttled(None), 1.0), (FAULT, 5.0)])
def test_pauses_grow_while_nothing_else_is_heard(outcome: Outcome, first_s: float) -> None:
    """Turned away again and again, the account waits twice as long each time, a minute at most."""
    bench = busy(1)
    pauses = []
    for _ in range(8):
        began = bench.now
        bench.answer(outcome)
        bench.sleep()
        pauses.append(bench.now - began)
        bench.grant()
    assert pauses == [min(60.0, first_s * 2**n) for n in range(8)]


@pytest.mark.parametrize(("outcome", "pause_s"), [(throttled(None), 1.0), (FAULT, 5.0)])
def test_calls_that_fail_together_are_one_occasion(outcome: Outcome, pause_s: float) -> None:
    """Sixteen calls in flight that are turned away at once do not make the pause sixteen steps longer."""
    bench = busy(16)
    for _ in range(16):
        bench.answer(outcome)
    bench.wait(pause_s)
    assert bench.permits_wanted > 0


def test_a_normal_answer_makes_pauses_short_again() -> None:
    """Once the vendor took a call, the next pause is as short as the first one was."""
    bench = busy(1)
    pauses = []
    for outcome in (throttled(None), throttled(None), Applied("r1"), throttled(None)):
        began = bench.now
        bench.answer(outcome)
        if isinstance(outcome, Applied):
            bench.deliver(add("again", "b"))
        else:
            bench.sleep()
            pauses.append(bench.now - began)
        bench.grant()
    assert pauses == [1.0, 2.0, 1.0]


def test_a_vendor_that_says_again_and_again_to_come_at_once() -> None:
    """`Retry-After: 0` is taken at its word once; repeated, the pauses grow as if it had said nothing."""
    bench = busy(1)
    pauses = []
    for _ in range(9):
        began = bench.now
        bench.answer(throttled(0.0))
        while not bench.permits_wanted:
            bench.sleep()
        pauses.append(bench.now - began)
        bench.grant()
    assert pauses == [0.0, *(min(30.0, 2.0**n) for n in range(8))]


def test_one_call_probes_a_faulty_account() -> None:
    """After an account fault one call goes first; the others follow when it was answered."""
    bench = busy(4, permits=1)
    bench.answer(FAULT)
    bench.sleep()
    assert bench.permits_wanted - 3 <= 1
    while bench.permits_wanted:
        bench.grant()
    assert len(bench.flights) == 1
    bench.answer(Applied("r1"))
    while bench.permits_wanted:
        bench.grant()
    assert len(bench.flights) == 3


def test_permits_that_come_late_send_no_second_probe() -> None:
    """Permits that were asked for before the fault, and come after its pause, let no call out: the probe,
    which only one worker may make at a time, is asked for by itself."""
    bench = busy(4, permits=1)
    bench.answer(FAULT)
    bench.sleep()
    for _ in range(3):
        bench.grant()
    assert bench.flights == []
    while bench.permits_wanted:
        bench.grant()
    assert [flight.probe for flight in bench.flights] == [True]


def test_a_probe_that_reached_nobody_says_nothing() -> None:
    """While the vendor cannot be reached, nothing is heard about the fault: the next call is a probe too."""
    bench = busy(4, permits=1)
    for outcome in (FAULT, UNREACHABLE):
        bench.answer(outcome)
        bench.wait(5)
        while bench.permits_wanted:
            bench.grant()
    assert len(bench.flights) == 1


def test_a_fault_of_the_account_settles_nothing() -> None:
    """Bad credentials are no command's fault: nothing is rejected or given up, however long it lasts."""
    bench = busy(1)
    for _ in range(3_000):
        bench.answer(FAULT)
        bench.sleep()
        bench.grant()
    assert bench.now > 1_000.0 + 86_400
    assert bench.settles == []
    bench.answer(Applied("r1"))
    assert bench.statuses == {"c0": "applied"}
