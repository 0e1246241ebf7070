"""Intents: what is in the ledger of creates that were sent, and what a successor makes of it."""

import pytest
from engine_bench import LOST, UNREACHABLE, Bench
from engine_commands import BY_KEY, add, create, delete_group
from model_vendor import ModelVendor

from numbergroup.engine.calls import Applied, CallKind, Refused, Throttled
from numbergroup.engine.events import LookupResult
from numbergroup.engine.group.creation import intent_of_call
from numbergroup.engine.policy import RetryPolicy

markers = pytest.mark.parametrize("marker", [True, False], ids=["marker", "no marker"])


@markers
def test_the_create_of_a_dead_worker_is_looked_for(marker: bool) -> None:
    """With an intent in the ledger, a redelivered create finds the group that was made."""
    bench, vendor = Bench(marker=marker), ModelVendor()
    bench.deliver(create("c1", "ab"))
    call = bench.call()
    vendor.carry_out(call)
    successor = Bench(marker=marker)
    facts = LookupResult(intents={BY_KEY: intent_of_call(call, 1_061.0)})
    successor.deliver(create("c1", "ab"), add("c2", "c", BY_KEY), facts=facts)
    successor.run(vendor.carry_out)
    assert [group.numbers for group in vendor.groups.values()] == [set("abc")]


@markers
@pytest.mark.parametrize("bound", [False, True], ids=["unbound", "bound"])
def test_an_intent_is_heeded_wherever_its_create_stands(marker: bool, bound: bool) -> None:
    """The redelivered create may come behind others of its group, in a delivery of its own, and while the
    key still leads to the group that was deleted before it: it is looked for all the same."""
    vendor = ModelVendor()
    first = Bench(marker=marker)
    first.deliver(create("c3", "ab"))
    call = first.call()
    vendor.carry_out(call)

    bench = Bench(marker=marker)
    bindings = {BY_KEY: "g-gone"} if bound else {}
    bench.deliver(add("c1", "x", BY_KEY), delete_group("c2", BY_KEY), facts=LookupResult(bindings=bindings))
    facts = LookupResult(bindings=bindings, intents={BY_KEY: intent_of_call(call, 1_061.0)})
    bench.deliver(create("c3", "ab"), facts=facts)
    bench.run(vendor.carry_out)
    assert [group.numbers for group in vendor.groups.values()] == [set("ab")]
    assert bench.statuses["c3"] == "applied"


@markers
def test_an_old_look_up_does_not_make_an_answered_create_doubtful(marker: bool) -> None:
    """The ledger was asked while the create was in flight: its own intent is no news to the engine."""
    bench = Bench(marker=marker)
    bench.deliver(create("c1", "a"))
    facts = LookupResult(intents={BY_KEY: intent_of_call(bench.call(), 1_061.0)})
    bench.deliver(create("c2", "b"), facts=facts)
    bench.answer(Throttled(1.0, "429", "slow down"))
    bench.sleep()
    assert bench.call().kind is CallKind.CREATE


def test_the_group_of_a_failed_create_is_found_by_the_next_one() -> None:
    """Given up in doubt, its group may be there: the next create of the key adopts it, and from then on
    does not expire."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c0", "a"))
    lost = bench.call()
    vendor.carry_out(lost)
    bench = Bench()
    facts = LookupResult(intents={BY_KEY: intent_of_call(lost, 1_061.0)})
    bench.deliver(create("c1", "ab", expires_at=bench.now + 5), facts=facts)
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.wait(60)
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied"}
    assert [group.numbers for group in vendor.groups.values()] == [set("ab")]


def test_an_intent_is_closed_once() -> None:
    """With the create, and not again with what follows it."""
    bench = Bench()
    bench.deliver(create("c1", "a"))
    bench.call()
    bench.deliver(add("c2", "b", BY_KEY))
    bench.answer(Applied("r1", "6a7sd"))
    bench.call()
    bench.answer(Applied("r2"))
    assert [list(settle.intents_done) for settle in bench.settles] == [[BY_KEY], []]


def test_an_unsent_create_leaves_the_intent_of_the_next_one_alone() -> None:
    """Created and deleted without a call, nothing was recorded, and nothing in the ledger is closed."""
    bench = Bench()
    bench.deliver(create("c1", "a"), delete_group("c2", BY_KEY))
    bench.grant()
    assert bench.statuses == {"c1": "superseded", "c2": "applied"}
    assert bench.intents_done == []


def test_a_create_that_failed_in_doubt_keeps_its_intent() -> None:
    """Given up while nobody knows: replaying the letter must look for the group first."""
    bench = Bench(retry=RetryPolicy(give_up_after_s=0.0))
    bench.deliver(create("c1", "a"))
    bench.call()
    bench.answer(LOST)
    assert bench.statuses == {"c1": "failed"}
    assert bench.intents_done == []


def test_a_refused_create_closes_its_intent() -> None:
    """Refused for good, nothing was made and nothing is open."""
    bench = Bench()
    bench.deliver(create("c1", "a"))
    bench.call()
    bench.answer(Refused("1002", "parameter error"))
    assert bench.statuses == {"c1": "rejected"}
    assert bench.intents_done == [BY_KEY]
    assert bench.bindings == {}


@markers
def test_a_create_behind_others_of_its_group_does_not_expire(marker: bool) -> None:
    """`expired` promises that the vendor did nothing: a create that may have been sent is looked for,
    also when its intent was found with a command that stands before it."""
    vendor, first = ModelVendor(), Bench(marker=marker)
    first.deliver(create("c2", "ab", expires_at=1_001.0))
    call = first.call()
    vendor.carry_out(call)

    successor = Bench(marker=marker)
    successor.wait(10.0)
    facts = LookupResult(intents={BY_KEY: intent_of_call(call, 1_061.0)})
    successor.deliver(add("c1", "x", BY_KEY), create("c2", "ab", expires_at=1_001.0), facts=facts)
    successor.run(vendor.carry_out)
    assert successor.statuses == {"c1": "rejected", "c2": "applied"}
    assert len(vendor.groups) == 1
