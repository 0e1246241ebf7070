"""Creating a group at most once, whatever is lost on the way."""

import pytest
from engine_bench import LOST, UNREACHABLE, WINDOW_S, Bench
from engine_commands import BY_KEY, add, command, create, delete_group, replace
from model_vendor import ModelVendor

from numbergroup.engine.calls import Applied, Call, CallKind, Group, Refused, Throttled
from numbergroup.engine.commands import Command, CommandKind, GroupRef, HandleKind
from numbergroup.engine.events import LookupResult
from numbergroup.engine.group.creation import is_created_by, marker_of

markers = pytest.mark.parametrize("marker", [True, False], ids=["marker", "no marker"])


def named(name: str, numbers: str) -> Command:
    return command(CommandKind.CREATE, name, numbers, BY_KEY, group_name="sales", remark="ours")


def test_the_marker_is_the_same_at_every_try_and_unlike_any_other() -> None:
    """A group is recognised by what depends on the command alone."""
    first, again, other = create("c1", "a"), create("c1", "b"), create("c2", "a")
    assert marker_of(first.key) == marker_of(again.key) != marker_of(other.key)


def test_a_create_carries_its_marker_before_the_remark() -> None:
    """Name and remark are the producer's; the marker is added where the account allows one."""
    bench = Bench()
    bench.deliver(named("c1", "a"))
    call = bench.call()
    assert call.group_name == "sales"
    assert call.remark == f"[{call.marker}] ours"
    bench = Bench(marker=False)
    bench.deliver(named("c1", "a"))
    call = bench.call()
    assert (call.remark, call.marker) == ("ours", None)


@markers
def test_a_create_whose_answer_was_lost_is_found(marker: bool) -> None:
    """Applied but not answered: the group is looked for and adopted, never created again."""
    bench, vendor = Bench(marker=marker), ModelVendor()
    bench.deliver(create("c1", "ab"), add("c2", "c", BY_KEY))
    vendor.carry_out(bench.call())
    bench.answer(LOST)
    bench.deliver(add("c3", "d", BY_KEY))
    bench.run(vendor.carry_out)
    assert [call.kind for call in vendor.calls] == [CallKind.CREATE, CallKind.FIND_CREATED, CallKind.ADD]
    assert [group.numbers for group in vendor.groups.values()] == [set("abcd")]
    assert set(bench.statuses.values()) == {"applied"}
    assert all(verdict.request_ids for verdict in bench.verdicts.values())
    assert bench.bindings == {BY_KEY: "made-by-r1"}
    assert bench.intents_done == [BY_KEY]


@markers
def test_a_create_that_never_arrived_is_sent_again_when_its_absence_is_proof(marker: bool) -> None:
    """Not found, it may still arrive: the group is looked for again when it cannot, then created."""
    bench, vendor = Bench(marker=marker), ModelVendor()
    bench.deliver(create("c1", "ab"))
    bench.call()
    bench.answer(LOST)
    bench.run(vendor.carry_out)
    kinds = [call.kind for call in vendor.calls]
    assert kinds == [CallKind.FIND_CREATED, CallKind.FIND_CREATED, CallKind.CREATE]
    assert bench.now >= 1_000 + WINDOW_S
    assert len(vendor.groups) == 1


def test_a_create_that_arrives_late_is_found_by_the_second_look() -> None:
    """One group, also when the lost request takes effect between the two looks."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "ab"))
    late = bench.call()
    bench.answer(LOST)
    bench.sleep()
    bench.call()
    bench.answer(vendor.carry_out(bench.flights[0].call))
    vendor.carry_out(late)
    bench.run(vendor.carry_out)
    assert len(vendor.groups) == 1
    assert bench.statuses == {"c1": "applied"}


def test_absence_is_proof_only_if_the_look_began_late_enough() -> None:
    """What a slow look-up did not see may have come while it was under way: it is repeated."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "ab"))
    late = bench.call()
    bench.answer(LOST)
    bench.wait(WINDOW_S - 1)
    seen = vendor.carry_out(bench.call())
    vendor.carry_out(late)
    bench.wait(2)
    bench.answer(seen)
    bench.run(vendor.carry_out)
    assert len(vendor.groups) == 1


@pytest.mark.parametrize("outcome", [UNREACHABLE, Throttled(1.0, "429", "slow down")])
def test_a_create_that_surely_failed_is_sent_again_without_a_look(outcome: Throttled) -> None:
    """Nothing was made, so nothing is looked for."""
    bench = Bench()
    bench.deliver(create("c1", "ab"))
    bench.call()
    bench.answer(outcome)
    bench.sleep()
    assert bench.call().kind is CallKind.CREATE


def test_created_and_deleted_while_waiting_costs_no_call() -> None:
    """Never a call for what a later command undoes: not even the group."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "a"), add("c2", "b", BY_KEY), delete_group("c3", BY_KEY), create("c4", "d"))
    bench.run(vendor.carry_out)
    assert [call.kind for call in vendor.calls] == [CallKind.CREATE]
    assert [group.numbers for group in vendor.groups.values()] == [{"d"}]


def test_created_in_doubt_and_deleted_leaves_no_group() -> None:
    """A create that may have gone through is found first, so that it can be deleted."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "a"))
    vendor.carry_out(bench.call())
    bench.answer(LOST)
    bench.deliver(delete_group("c2", BY_KEY))
    bench.run(vendor.carry_out)
    assert vendor.groups == {}
    assert bench.bindings == {BY_KEY: None}


def test_updates_that_come_after_a_failed_try_do_not_make_a_second_group() -> None:
    """The group was made, its further numbers were not: the residue is sent, merged with what came."""
    bench, vendor = Bench(cap=2), ModelVendor(cap=2)
    bench.deliver(create("c1", "abc"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(replace("c2", "cd", BY_KEY), create("c3", "x"))
    bench.run(vendor.carry_out)
    assert [group.numbers for group in vendor.groups.values()] == [set("cd")]
    assert bench.statuses == {"c1": "applied", "c2": "applied", "c3": "rejected"}


def test_a_group_of_a_create_that_failed_half_way_is_not_lost() -> None:
    """Made, but given up or refused before all numbers were in it: the key leads to it, so that it can be
    mended or deleted."""
    bench, vendor = Bench(cap=1), ModelVendor(cap=1, poison="b")
    bench.deliver(create("c1", "ab"))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "rejected"}
    assert bench.bindings == {BY_KEY: "made-by-r1"}
    bench.deliver(replace("c2", "c", BY_KEY), facts=LookupResult(bindings={BY_KEY: "made-by-r1"}))
    bench.run(vendor.carry_out)
    assert vendor.members("made-by-r1") == {"c"}


def test_creates_without_a_key_are_groups_of_their_own() -> None:
    """Two creates without a key make two groups, each answered with its id."""
    bench, vendor = Bench(), ModelVendor()
    own = [GroupRef("default", HandleKind.OWN, f"test\0c{n}") for n in (1, 2)]
    bench.deliver(create("c1", "a", own[0]), create("c2", "a", own[1]))
    bench.run(vendor.carry_out)
    assert len(vendor.groups) == 2
    assert {verdict.group_id for verdict in bench.verdicts.values()} == set(vendor.groups)
    assert bench.bindings == {}


def test_a_look_that_the_vendor_refuses_is_nobodys_fault() -> None:
    """The look-up was not asked for by any command: it is tried again, and nothing is rejected."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "a"))
    vendor.carry_out(bench.call())
    bench.answer(LOST)
    bench.sleep()
    bench.call()
    bench.answer(Refused("10011", "limit out of range"))
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied"}
    assert len(vendor.groups) == 1


def test_the_vendors_first_answer_names_the_group() -> None:
    """The key is bound to the id that the vendor gave, in the settlement of the create."""
    bench = Bench()
    bench.deliver(create("c1", "a"))
    bench.call()
    bench.answer(Applied("r1", "6a7sd"))
    assert bench.settles[0].bindings == {BY_KEY: "6a7sd"}
    assert bench.verdicts["c1"].group_id == "6a7sd"


def test_without_a_marker_the_made_group_is_known_by_its_id() -> None:
    """When more is sent to it before it is settled, its numbers do not tell it any more: the ledger is told
    which group it is, and a successor goes on with that one."""
    bench = Bench(cap=1, marker=False)
    made = create("c1", "ab", group_name="name")
    bench.deliver(made)
    assert bench.call().kind is CallKind.CREATE
    assert bench.flights[0].created_group is None
    bench.answer(Applied("r1", "g-5"))
    assert bench.call() == Call(CallKind.ADD, ("b",), "g-5")
    intent = bench.flights[0].created_group
    assert intent is not None
    assert is_created_by(intent, Group("g-5", "name", "", ("a", "b")))
    assert not is_created_by(intent, Group("g-6", "name", "", ("a",)))

    successor = Bench(cap=1, marker=False)
    successor.deliver(create("c1", "ab", group_name="name"), facts=LookupResult(intents={BY_KEY: intent}))
    assert successor.call().kind is CallKind.FIND_CREATED
    successor.answer(Applied("r2", groups=(Group("g-5", "name", "", ("a",)),)))
    assert successor.call() == Call(CallKind.ADD, ("b",), "g-5")


def test_with_a_marker_nothing_more_is_told() -> None:
    """The marker tells the group, whatever its numbers are."""
    bench = Bench(cap=1)
    bench.deliver(create("c1", "ab"))
    bench.call()
    bench.answer(Applied("r1", "g-5"))
    bench.call()
    assert bench.flights[0].created_group is None


def test_what_is_settled_may_not_be_written_yet() -> None:
    """Also calls of later batches tell which group was made; a group that is deleted is told no more."""
    bench = Bench(marker=False)
    bench.deliver(create("c1", "a", group_name="name"))
    bench.call()
    bench.answer(Applied("r1", "g-5"))
    bench.deliver(add("c2", "b", BY_KEY))
    bench.call()
    made = bench.flights[0].created_group
    assert made is not None
    assert is_created_by(made, Group("g-5", "name", "", ("a", "b")))
    bench.answer(Applied("r2"))
    bench.deliver(delete_group("c3", BY_KEY))
    bench.call()
    bench.answer(Applied("r3"))
    bench.deliver(create("c4", "a", group_name="other"))
    bench.call()
    assert bench.flights[0].created_group is None
    bench.answer(Applied("r4", "g-6"))
    bench.deliver(add("c5", "b", BY_KEY))
    bench.call()
    made = bench.flights[0].created_group
    assert made is not None
    assert is_created_by(made, Group("g-6", "other", "", ("a", "b")))
