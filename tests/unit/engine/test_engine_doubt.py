"""In doubt: sent, not answered, and perhaps applied late. What conflicts with it waits."""

from engine_bench import LOST, WINDOW_S, Bench
from engine_commands import BY_ID, BY_KEY, add, create, delete, delete_group, replace
from model_vendor import ModelVendor

from numbergroup.engine.calls import Applied, Call, CallKind, Refused, Throttled
from numbergroup.engine.events import LookupResult
from numbergroup.engine.policy import RetryPolicy
from numbergroup.engine.replays import Replay, RetryHistory

REFUSED = Refused("10004", "this one stays")


def vendor_with(numbers: str) -> ModelVendor:
    vendor = ModelVendor()
    vendor.put("g-1", numbers)
    return vendor


def test_the_same_update_is_resent_without_waiting_for_the_doubt_to_end() -> None:
    """An update may be resent as it is: the group parks for its retry delay only."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(LOST)
    bench.sleep()
    assert bench.now < 1_000 + WINDOW_S
    assert bench.call().numbers == ("a",)


def test_a_change_that_a_late_arrival_would_undo_waits() -> None:
    """A delete of what an unanswered add may still put in waits until that cannot happen any more."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(LOST)
    bench.deliver(delete("c2", "a"))
    bench.sleep()
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    assert bench.now == 1_000 + WINDOW_S
    assert bench.call().kind is CallKind.DELETE


def test_what_does_not_conflict_goes_on() -> None:
    """Numbers that the unanswered call does not name may be changed at once."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(LOST)
    bench.sleep()
    bench.call()
    bench.answer(Applied("r1"))
    bench.deliver(delete("c2", "b"))
    assert bench.call().numbers == ("b",)


def test_what_comes_while_a_call_waits_for_a_doubt_is_in_it() -> None:
    """Waiting, the batch is not cut yet: newer commands are merged into what will be sent."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(LOST)
    bench.deliver(delete("c2", "a"))
    bench.sleep()
    bench.grant()
    bench.deliver(delete("c3", "b"))
    bench.sleep()
    assert bench.call().numbers == ("a", "b")


def test_a_doubt_outlives_its_command() -> None:
    """Settled or not, an unanswered request may arrive: those that come later wait for it as well."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(Applied("r1"), doubt=True)
    assert bench.statuses == {"c1": "applied"}
    bench.deliver(delete("c2", "a"))
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    assert bench.now == 1_000 + WINDOW_S
    assert bench.call().kind is CallKind.DELETE


def test_a_doubt_lasts_to_its_last_moment() -> None:
    """What comes shortly before the end of a doubt still waits for it, and not a moment longer."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(Applied("r1"), doubt=True)
    bench.wait(WINDOW_S - 0.001)
    bench.deliver(delete("c2", "a"))
    bench.grant()
    assert bench.flights == []
    bench.wait(0.001)
    assert bench.call().kind is CallKind.DELETE


def test_an_empty_replace_sees_what_arrives_late() -> None:
    """Members are read when nothing can be added behind the reader's back any more."""
    bench, vendor = Bench(), vendor_with("x")
    bench.deliver(add("c1", "a"))
    late = bench.call()
    bench.answer(LOST)
    bench.deliver(replace("c2", ""))
    bench.sleep()
    bench.grant()
    for flight in bench.flights:
        bench.answer(vendor.carry_out(flight.call))
    vendor.carry_out(late)
    bench.run(vendor.carry_out)
    assert bench.now >= 1_000 + WINDOW_S
    assert vendor.members("g-1") == set()


def test_a_retry_inside_the_call_leaves_its_doubt_behind() -> None:
    """A call that was throttled after an unanswered attempt is in doubt all the same."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(Throttled(1.0, "429", "slow down"), doubt=True)
    bench.deliver(delete("c2", "a"))
    bench.sleep()
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    assert bench.now == 1_000 + WINDOW_S


def test_a_deletion_whose_answer_was_lost_is_applied() -> None:
    """Sent again, the vendor says that there is no such group: it is looked for, and it is gone indeed."""
    bench, vendor = Bench(), vendor_with("x")
    bench.deliver(add("c1", "a"), delete_group("c2"))
    vendor.carry_out(bench.call())
    bench.answer(LOST)
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "superseded", "c2": "applied"}
    assert all(verdict.request_ids for verdict in bench.verdicts.values())


def test_a_deletion_that_a_dead_worker_made_frees_the_key() -> None:
    """Deleted, but not settled, by a worker that died: the replay ends well, and the key can be used anew."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(
        add("c1", "a", BY_KEY),
        delete_group("c2", BY_KEY),
        create("c3", "b"),
        facts=LookupResult(bindings={BY_KEY: "g-1"}),
    )
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "superseded", "c2": "applied", "c3": "applied"}
    assert [group.numbers for group in vendor.groups.values()] == [{"b"}]


def test_a_deletion_that_the_vendor_refuses_is_rejected() -> None:
    """The group is still listed: the refusal stands, with the vendor's code, and the others go through."""
    bench, vendor = Bench(), vendor_with("x")

    def stubborn(call: Call) -> Applied | Refused:
        return REFUSED if call.kind is CallKind.DELETE_GROUP else vendor.carry_out(call)

    bench.deliver(add("c1", "a"), delete_group("c2"))
    bench.run(stubborn)
    assert bench.statuses == {"c1": "applied", "c2": "rejected"}
    assert bench.verdicts["c2"].fault.code == REFUSED.code
    assert vendor.members("g-1") == {"a", "x"}


def test_a_deletion_that_failed_in_doubt_does_not_fall_on_later_commands() -> None:
    """Given up, it may still arrive: what comes after it waits until it cannot."""
    bench = Bench(retry=RetryPolicy(give_up_after_s=0.0))
    bench.deliver(delete_group("c1"))
    bench.call()
    bench.answer(LOST)
    assert bench.statuses == {"c1": "failed"}
    bench.deliver(add("c2", "a"))
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    assert bench.now == 1_000 + WINDOW_S
    assert bench.call().group_id == BY_ID.name


def test_the_next_group_of_a_key_does_not_wait_for_the_last_one() -> None:
    """Deleted and created anew, a key's group is another one: old requests cannot reach it."""
    bench, vendor = Bench(), vendor_with("x")
    facts = LookupResult(bindings={BY_KEY: "g-1"})
    bench.deliver(delete_group("c1", BY_KEY), facts=facts)
    bench.call()
    bench.answer(LOST)
    bench.deliver(create("c2", "a"), facts=facts)
    bench.run(vendor.carry_out)
    assert bench.now < 1_000 + WINDOW_S
    assert bench.statuses == {"c1": "applied", "c2": "applied"}


def test_a_group_is_deleted_when_nothing_can_bring_it_back() -> None:
    """A vendor may make a group of an update that comes late for one that is gone."""
    bench = Bench()
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(LOST)
    bench.deliver(delete_group("c2"))
    bench.sleep()
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    assert bench.now == 1_000 + WINDOW_S
    assert bench.call().kind is CallKind.DELETE_GROUP


def test_a_replay_is_seen_through_while_its_first_call_may_come_late() -> None:
    """A call whose answer was lost, then a refusal; the letter's time is over when it is tried again, but the
    vendor would take the lost call by now: "expired" would not be true."""
    bench = Bench()
    bench.deliver(add("c1", "a", expires_at=bench.now + 5))
    bench.call()
    bench.answer(LOST)
    bench.sleep()
    bench.call()
    bench.answer(Refused("1002", "refused"))
    assert bench.statuses == {"c1": "rejected"}
    bench.wait(10)
    again = add("c1", "a", expires_at=bench.now - 6)
    again.retry_history = RetryHistory(Replay("0-1-0", 1, 1, None))
    bench.deliver(again)
    bench.run(lambda call: Applied("r"))
    assert [one.status.value for settle in bench.settles for one in settle.verdicts] == [
        "rejected",
        "applied",
    ]
