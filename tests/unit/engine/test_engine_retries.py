"""Retries and their ends: parking, giving up, expiry."""

import pytest
from engine_bench import LOST, UNREACHABLE, Bench
from engine_commands import BY_KEY, add, create, delete, listing, replace
from model_vendor import ModelVendor

from numbergroup.engine.calls import AccountFault, Applied, CallKind, Outcome, Refused, Throttled, Withheld
from numbergroup.engine.policy import RetryPolicy

TURNED_AWAY = [
    Throttled(10.0, "429", "slow down"),
    AccountFault("1003", "invalid signature"),
    UNREACHABLE,
    Withheld(),
]


def test_a_failed_group_parks_longer_each_time() -> None:
    """The delay grows with every failure in a row, with jitter from outside."""
    bench = Bench(retry=RetryPolicy(base_s=1.0, cap_s=8.0))
    bench.deliver(add("c1", "a"))
    delays = []
    for _ in range(5):
        bench.call()
        bench.answer(UNREACHABLE)
        began = bench.now
        bench.sleep()
        delays.append(bench.now - began)
    assert delays == pytest.approx([0.5, 1.0, 2.0, 4.0, 4.0])


def test_newer_commands_join_what_is_left_after_a_failure() -> None:
    """A batch is cut anew after a failure: what was told stays told, and the newcomers are in it."""
    bench, vendor = Bench(), ModelVendor()
    vendor.put("g-1", "x")
    bench.deliver(delete("c1", "x"), add("c2", "a"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(add("c3", "b"))
    bench.sleep()
    call = bench.call()
    assert (call.kind, call.numbers) == (CallKind.ADD, ("a", "b"))
    bench.answer(vendor.carry_out(call))
    assert [verdict.merged for verdict in bench.verdicts.values()] == [3, 3, 3]
    assert bench.verdicts["c1"].request_ids == ("r1",)


def test_retries_end_when_their_time_is_over() -> None:
    """After `give_up_after` of failures the commands of the group are failed, in order, with the reason."""
    bench = Bench(retry=RetryPolicy(cap_s=60.0, give_up_after_s=600.0))
    bench.deliver(add("c1", "a"), delete("c2", "b"))

    def unreachable(_call: object) -> Outcome:
        return UNREACHABLE

    bench.run(unreachable)
    assert bench.statuses == {"c1": "failed", "c2": "failed"}
    assert 600 <= bench.now - 1_000 < 700
    assert bench.verdicts["c1"].fault.kind == "unavailable"


def test_a_look_that_succeeds_is_not_the_end_of_a_failure() -> None:
    """A create that is never answered is given up like everything else, though it is looked for, with
    success, between its tries."""
    bench, vendor = Bench(retry=RetryPolicy(give_up_after_s=600.0)), ModelVendor()
    bench.deliver(create("c1", "a"))
    bench.run(lambda call: LOST if call.kind is CallKind.CREATE else vendor.carry_out(call))
    assert bench.statuses == {"c1": "failed"}
    assert bench.now - 1_000 < 1_000


def test_calls_that_take_turns_in_failing_are_given_up() -> None:
    """First chunk applied, second one lost, over and over: that is no progress."""
    bench, vendor = Bench(cap=1, retry=RetryPolicy(give_up_after_s=600.0)), ModelVendor(cap=1)
    vendor.put("g-1", "")
    bench.deliver(replace("c1", "ab"))
    bench.run(lambda call: LOST if call.kind is CallKind.ADD else vendor.carry_out(call))
    assert bench.statuses == {"c1": "failed"}


def test_commands_that_came_after_the_last_try_start_anew() -> None:
    """Giving up ends the batch that was tried; what was not in it is tried for as long again."""
    bench = Bench(retry=RetryPolicy(give_up_after_s=0.0))
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.deliver(add("c2", "b"))
    bench.answer(UNREACHABLE)
    assert bench.statuses == {"c1": "failed"}
    assert bench.call().numbers == ("b",)


def test_a_failed_batch_says_of_each_command_what_became_of_it() -> None:
    """Those that expired, or could not apply, say so: only those that were tried have failed."""
    bench = Bench(retry=RetryPolicy(give_up_after_s=0.0))
    bench.deliver(
        add("c1", "x", BY_KEY),
        create("c2", "a"),
        add("c3", "b", BY_KEY, expires_at=5.0),
        create("c4", "c"),
        add("c5", "d", BY_KEY),
    )
    bench.call()
    bench.answer(UNREACHABLE)
    assert bench.statuses == {
        "c1": "rejected",
        "c2": "failed",
        "c3": "expired",
        "c4": "rejected",
        "c5": "failed",
    }


def test_what_was_carried_before_a_failure_is_told() -> None:
    """A failed command names the calls that carried some of its numbers."""
    bench = Bench(cap=1, retry=RetryPolicy(give_up_after_s=0.0))
    bench.deliver(add("c1", "ab"))
    bench.call()
    bench.answer(Applied("r1"))
    bench.call()
    bench.answer(UNREACHABLE)
    assert bench.verdicts["c1"].status == "failed"
    assert bench.verdicts["c1"].request_ids == ("r1",)


def test_an_expired_command_is_not_sent() -> None:
    """After its expirytime it is answered `expired`, without a call, and leaves no trace in the others'."""
    bench = Bench()
    bench.deliver(add("c1", "ab", expires_at=bench.now + 5), delete("c2", "b"))
    bench.wait(5)
    call = bench.call()
    assert (call.kind, call.numbers) == (CallKind.DELETE, ("b",))
    bench.answer(Applied("r1"))
    assert bench.statuses == {"c1": "expired", "c2": "applied"}
    assert bench.verdicts["c1"].request_ids == ()


def test_a_group_with_nothing_but_expired_commands_costs_no_call() -> None:
    """They are answered when their turn comes."""
    bench = Bench()
    bench.deliver(
        add("c1", "a", expires_at=0.0), replace("c2", "", expires_at=0.0), listing("c3", expires_at=0.0)
    )
    while bench.permits_wanted:
        bench.grant()
    assert bench.flights == []
    assert set(bench.statuses.values()) == {"expired"}


@pytest.mark.parametrize("outcome", TURNED_AWAY, ids=lambda outcome: type(outcome).__name__)
def test_what_the_vendor_did_nothing_about_expires(outcome: Outcome) -> None:
    """Turned away, or not sent at all: past its expirytime the command is not sent again, whatever the next
    call has to wait for."""
    bench = Bench()
    bench.deliver(add("c1", "a", expires_at=bench.now + 5))
    bench.call()
    bench.answer(outcome)
    bench.wait(5)
    assert bench.flights == []
    assert bench.statuses == {"c1": "expired"}


@pytest.mark.parametrize("second", [UNREACHABLE, Refused("1002", "parameter error")])
def test_what_may_have_taken_effect_is_seen_through(second: Outcome) -> None:
    """Perhaps applied, a command is never called expired: it is resent until its fate is known."""
    bench = Bench(cap=1)
    bench.deliver(add("c1", "ab", expires_at=bench.now + 5))
    bench.call()
    bench.answer(LOST)
    bench.wait(60)
    bench.call()
    bench.answer(second)
    if second is UNREACHABLE:
        bench.sleep()
        assert bench.call().numbers == ("a",)
    else:
        assert bench.statuses == {"c1": "rejected"}


def test_a_batch_that_was_begun_is_seen_through() -> None:
    """Carried in part, a command does not expire between its calls, nor while the batch is cut anew."""
    bench = Bench(cap=1)
    bench.deliver(add("c1", "ab", expires_at=bench.now + 5))
    bench.call()
    bench.answer(Applied("r1"))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.wait(60)
    assert bench.call().numbers == ("b",)


def test_what_waits_behind_a_create_in_doubt_expires() -> None:
    """Commands that came after the unanswered create were in no request: they expire like any other."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "a", expires_at=bench.now + 5))
    bench.call()
    bench.answer(LOST)
    bench.deliver(add("c2", "b", BY_KEY, expires_at=bench.now + 5))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "expired"}
    assert [group.numbers for group in vendor.groups.values()] == [{"a"}]
