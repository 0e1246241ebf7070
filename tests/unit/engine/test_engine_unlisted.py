"""Vendors that can do less: without list, without replace, or with updates that must not be sent twice."""

import pytest
from engine_bench import LOST, UNREACHABLE, Bench
from engine_commands import BY_KEY, add, create, delete, delete_group, replace
from model_vendor import ModelGroup, ModelVendor

from numbergroup.engine.calls import (
    AccountFault,
    Applied,
    Call,
    CallKind,
    Outcome,
    Refused,
    Throttled,
    Unavailable,
)
from numbergroup.engine.commands import CommandKind
from numbergroup.engine.doubt import CreateIntent
from numbergroup.engine.events import LookupResult
from numbergroup.engine.group.creation import intent_of_call

EDITS = (CommandKind.CREATE, CommandKind.ADD, CommandKind.DELETE)
MAY_BE_THERE = "may have been made, and the vendor has no list to look it up in"


def bench_of(*more: CommandKind, **can: object) -> Bench:
    return Bench(supports=[*EDITS, *more], **can)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "outcome",
    [
        LOST,
        Throttled(None, "429", "slow down", in_doubt=True),
        AccountFault("401", "who are you", in_doubt=True),
        Refused("7", "no", in_doubt=True),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
def test_a_create_whose_answer_was_lost_fails_and_says_so(outcome: Outcome) -> None:
    """Nobody can find out, and it is not sent again: its batch ends, whatever it was that said nothing."""
    bench = bench_of()
    bench.deliver(create("c1", "ab"), add("c2", "c", BY_KEY))
    bench.call()
    bench.answer(outcome, doubt=True)
    assert bench.statuses == {"c1": "failed", "c2": "failed"}
    fault = bench.verdicts["c1"].fault
    assert fault is not None
    assert fault.kind == "unavailable"
    assert MAY_BE_THERE in fault.message
    assert bench.flights == []
    assert bench.intents_done == [BY_KEY]


def test_a_create_that_cannot_be_told_in_the_list_fails_too() -> None:
    """Without a marker a group is known by its numbers, and the vendor may have left some of them out."""
    bench = Bench(marker=False, results_per_number=True)
    bench.deliver(create("c1", "ab"))
    bench.call()
    bench.answer(LOST)
    assert bench.statuses == {"c1": "failed"}
    bench = Bench(results_per_number=True)
    bench.deliver(create("c1", "ab"))
    bench.call()
    bench.answer(LOST)
    bench.sleep()
    assert bench.call().kind is CallKind.FIND_CREATED


def test_a_create_that_was_surely_not_carried_out_is_sent_again() -> None:
    """Only a doubt ends it."""
    bench, vendor = bench_of(), ModelVendor(lists=False, replaces=False)
    bench.deliver(create("c1", "ab"))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied"}
    assert len(vendor.groups) == 1


def test_a_create_that_a_dead_worker_sent_fails() -> None:
    """Its intent says that it may have been made; then the intent is closed, and a create that an operator
    sends again deliberately makes the group."""
    bench, vendor = bench_of(), ModelVendor(lists=False, replaces=False)
    made = create("c1", "ab")
    intent = intent_of_call(Call(CallKind.CREATE, ("a", "b")), 5_000.0)
    bench.deliver(made, facts=LookupResult(intents={BY_KEY: intent}))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "failed"}
    assert vendor.calls == []
    assert bench.intents_done == [BY_KEY]
    # What was looked up before that was written says nothing any more.
    bench.deliver(create("c2", "cd", group_name="other"), facts=LookupResult(intents={BY_KEY: intent}))
    bench.run(vendor.carry_out)
    assert bench.statuses["c2"] == "applied"
    assert [group.numbers for group in vendor.groups.values()] == [{"c", "d"}]


def test_a_create_that_a_dead_worker_knew_to_be_answered_is_gone_on_with() -> None:
    """Its group's id was written down before the next call: that is told all of its numbers again."""
    bench, vendor = bench_of(), ModelVendor(lists=False, replaces=False)
    vendor.put("g-9", "ab")
    intent = CreateIntent(None, None, "", 0.0, "g-9")
    bench.deliver(
        create("c1", "abc"), delete("c2", "a", BY_KEY), facts=LookupResult(intents={BY_KEY: intent})
    )
    bench.run(vendor.carry_out)
    assert vendor.members("g-9") == {"b", "c"}
    assert set(bench.statuses.values()) == {"applied"}
    assert bench.bindings == {BY_KEY: "g-9"}


def test_it_is_written_down_what_the_group_of_an_answered_create_is() -> None:
    """A successor could not look it up: the next call's record says it. There is no marker to look for."""
    bench = bench_of(cap=1)
    bench.deliver(create("c1", "ab"))
    assert bench.call().marker is None
    bench.answer(Applied("r1", "g-9"))
    assert bench.call() == Call(CallKind.ADD, ("b",), "g-9")
    made = bench.flights[-1].created_group
    assert made is not None
    assert made.group_id == "g-9"


def test_a_deletion_behind_a_lost_create_is_not_guessed_at() -> None:
    """Whether there is something to delete cannot be looked up either."""
    bench = bench_of(CommandKind.DELETE_GROUP)
    bench.deliver(create("c1", "a"))
    bench.call()
    bench.deliver(delete_group("c2", BY_KEY))
    bench.answer(LOST)
    bench.run(ModelVendor(lists=False).carry_out)
    assert bench.statuses == {"c1": "failed", "c2": "rejected"}


def test_a_deletion_that_is_refused_is_refused() -> None:
    """Without a list nobody can say that the group is gone already."""
    bench = bench_of(CommandKind.DELETE_GROUP)
    bench.deliver(delete_group("c1"))
    bench.call()
    bench.answer(Refused("7", "no such group"))
    assert bench.statuses == {"c1": "rejected"}
    assert bench.permits_wanted == 0


def test_a_created_group_is_never_replaced_where_there_is_no_replace() -> None:
    """After a lost answer only those numbers are told again that are in doubt, with what came meanwhile."""
    bench, vendor = bench_of(cap=2), ModelVendor(cap=2, lists=False, replaces=False)
    bench.deliver(create("c1", "abcd"))
    bench.answer(vendor.carry_out(bench.call()))
    vendor.carry_out(bench.call())
    bench.answer(LOST)
    bench.deliver(delete("c2", "a", BY_KEY), add("c3", "e", BY_KEY))
    bench.run(vendor.carry_out)
    assert [(call.kind, call.numbers) for call in vendor.calls[2:]] == [
        (CallKind.DELETE, ("a",)),
        (CallKind.ADD, ("c", "d")),
        (CallKind.ADD, ("e",)),
    ]
    assert [group.numbers for group in vendor.groups.values()] == [set("bcde")]


def test_a_deletion_in_doubt_takes_nothing_for_granted() -> None:
    """When it turns out that the group is there and stays, what was known to be in it is told again: by adds,
    for there is no replace."""
    bench, vendor = (
        bench_of(CommandKind.DELETE_GROUP, CommandKind.LIST, cap=1),
        ModelVendor(1, replaces=False),
    )
    bench.deliver(create("c1", "ab"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(delete_group("c2", BY_KEY))
    bench.sleep()
    for outcome in (LOST, Refused("7", "not now")):
        assert bench.call().kind is CallKind.DELETE_GROUP
        bench.answer(outcome)
        bench.sleep()

    def stubborn(call: Call) -> Outcome:
        return Refused("7", "not now") if call.kind is CallKind.DELETE_GROUP else vendor.carry_out(call)

    bench.run(stubborn)
    (group,) = vendor.groups.values()
    assert group.numbers == {"a", "b"}
    assert bench.statuses == {"c1": "applied", "c2": "rejected"}


def test_for_how_long_listed_members_stay_is_not_known() -> None:
    """A list does not say when they leave: who is to stay for ever is told so, even if it is in the list."""
    bench, vendor = Bench(number_expiry=True), ModelVendor()
    vendor.groups["g-1"] = ModelGroup("g-1", "", {"x": 5_000.0})
    bench.deliver(replace("c1", ""))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(add("c2", "x"))
    bench.run(vendor.carry_out)
    assert vendor.groups["g-1"].members == {"x": None}


@pytest.mark.parametrize(
    "outcome",
    [
        LOST,
        Throttled(None, "429", "slow down", in_doubt=True),
        AccountFault("401", "who are you", in_doubt=True),
        Refused("7", "no", in_doubt=True),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
def test_an_update_that_must_not_be_sent_twice(outcome: Outcome) -> None:
    """In doubt, it is not sent again: its commands fail, and say so; those after it go on."""
    bench = Bench(idempotent=False)
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.deliver(add("c2", "b"))
    bench.answer(outcome, doubt=True)
    bench.run(lambda _: Applied("r2"))
    assert bench.statuses == {"c1": "failed", "c2": "applied"}
    fault = bench.verdicts["c1"].fault
    assert fault is not None
    assert fault.kind == "unavailable"
    assert "may have been made" in fault.message


def test_an_update_that_was_surely_not_made_is_sent_again() -> None:
    """However often an update may be sent: this one was not."""
    bench = Bench(idempotent=False)
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(Unavailable("not connected", in_doubt=False))
    bench.run(lambda _: Applied("r2"))
    assert bench.statuses == {"c1": "applied"}


def test_a_deletion_of_a_group_may_always_be_sent_again() -> None:
    """It takes away what is there; a second one finds nothing."""
    bench, vendor = Bench(idempotent=False), ModelVendor()
    vendor.put("g-1", "a")
    bench.deliver(delete_group("c1"))
    vendor.carry_out(bench.call())
    bench.answer(LOST)
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied"}
