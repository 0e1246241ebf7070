"""Creates that were refused, and may have been carried out all the same; lists that do not show everything;
and vendors that say when to come back."""

from dataclasses import replace

import pytest
from engine_bench import Bench
from engine_commands import BY_ID, BY_KEY, add, create, delete_group
from model_vendor import ModelVendor

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

PERHAPS = Refused("777", "what nobody knows", certain=False, in_doubt=True)
EXISTS = Refused("888", "already exists", already_exists=True)
DOWN = Unavailable("HTTP 503", in_doubt=False, code="http-503")


def test_a_create_that_was_refused_and_carried_out_is_found() -> None:
    """By a code that nobody knows: nobody is told that it was refused before the group was looked for."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "ab"), add("c2", "c", BY_KEY))
    vendor.carry_out(bench.call())
    bench.answer(PERHAPS, doubt=True)
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied", "c2": "applied"}
    assert [group.numbers for group in vendor.groups.values()] == [set("abc")]
    assert bench.intents_done == [BY_KEY]


@pytest.mark.parametrize("marker", [True, False])
def test_a_create_that_is_refused_again_and_again(marker: bool) -> None:
    """After a few tries, each of which is proved to have made nothing, the command is rejected."""
    bench, vendor = Bench(marker=marker), ModelVendor()
    bench.deliver(create("c1", "ab"))
    kinds: list[CallKind] = []
    while bench.waiting:
        if not bench.permits_wanted:
            bench.sleep()
            continue
        call = bench.call()
        kinds.append(call.kind)
        is_create = call.kind is CallKind.CREATE
        bench.answer(PERHAPS if is_create else vendor.carry_out(call), doubt=is_create)
    assert kinds.count(CallKind.CREATE) == 3
    assert kinds[-1] is CallKind.FIND_CREATED
    assert bench.statuses == {"c1": "rejected"}
    assert bench.intents_done == [BY_KEY]


def test_a_refused_create_does_not_take_others_with_it() -> None:
    """It is found out which command is refused, as of any batch."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "ab"), add("c2", "x", BY_KEY))

    def answer(call: Call) -> Outcome:
        return PERHAPS if call.kind is CallKind.CREATE and "x" in call.numbers else vendor.carry_out(call)

    for _ in range(60):
        if not bench.waiting:
            break
        if not bench.permits_wanted:
            bench.sleep()
            continue
        outcome = answer(bench.call())
        bench.answer(outcome, doubt=outcome is PERHAPS)
    assert bench.statuses["c1"] == "applied"
    assert [group.numbers >= set("ab") for group in vendor.groups.values()] == [True]


@pytest.mark.parametrize("first", [DOWN, Throttled(0.0, "http-429", "x"), AccountFault("http-302", "x")])
def test_already_exists_after_a_create_of_our_own(first: Outcome) -> None:
    """The group is looked for: it may be the one that an earlier request of this create has made."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "ab"))
    vendor.carry_out(bench.call())
    bench.answer(first)
    bench.sleep()
    assert bench.call().kind is CallKind.CREATE
    bench.answer(EXISTS)
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied"}
    assert len(vendor.groups) == 1


def test_already_exists_that_is_somebody_elses() -> None:
    """It is looked for, not found, and the create is refused; at its first request it is refused at once."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "ab"))
    bench.call()
    bench.answer(EXISTS)
    assert bench.statuses == {"c1": "rejected"}
    bench.deliver(create("c2", "ab"))
    bench.call()
    bench.answer(DOWN)
    bench.run(lambda call: EXISTS if call.kind is CallKind.CREATE else vendor.carry_out(call))
    assert bench.statuses["c2"] == "rejected"


def test_already_exists_where_nothing_can_be_looked_up() -> None:
    """It is no plain rejection: the command fails, and is told that it may have made the group itself."""
    bench = Bench(supports=[CommandKind.CREATE, CommandKind.ADD])
    bench.deliver(create("c1", "ab"))
    bench.call()
    bench.answer(DOWN)
    bench.sleep()
    bench.call()
    bench.answer(EXISTS)
    fault = bench.verdicts["c1"].fault
    assert bench.statuses == {"c1": "failed"}
    assert fault is not None
    assert "already exists: the group may have been made" in fault.message


def part_of(applied: Outcome, total: int) -> Outcome:
    """A list that does not show all that it counts."""
    assert isinstance(applied, Applied)
    return replace(applied, total=total, complete=False)


def test_a_list_that_does_not_show_all_proves_no_absence() -> None:
    """A lost create is not sent again while the vendor counts more groups than it shows."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "ab"))
    vendor.carry_out(bench.call())
    bench.answer(PERHAPS, doubt=True)
    bench.wait(100.0)
    assert bench.call().kind is CallKind.FIND_CREATED
    bench.answer(Applied(None, groups=(), total=1, complete=False))
    assert bench.statuses == {}
    bench.sleep()
    # It counts one more that it does not show: ours is among those that it does.
    found = bench.call()
    assert found.kind is CallKind.FIND_CREATED
    bench.answer(part_of(vendor.carry_out(found), 2))
    assert bench.statuses == {"c1": "applied"}
    assert len(vendor.groups) == 1


def test_a_group_that_is_not_shown_may_be_there() -> None:
    """Its deletion, refused, is not taken for done while the vendor counts more groups than it shows."""
    bench = Bench()
    bench.deliver(delete_group("c1"))
    bench.call()
    bench.answer(Refused("9", "no"))
    assert bench.call().kind is CallKind.READ_MEMBERS
    bench.answer(Applied(None, groups=(), total=1, complete=False))
    assert bench.statuses == {}
    bench.sleep()
    assert bench.call().kind is CallKind.DELETE_GROUP
    bench.answer(Refused("9", "no"))
    bench.call()
    bench.answer(Applied("r", groups=(), total=0))
    assert bench.statuses == {"c1": "applied"}


def told_to_wait(outcome: Outcome) -> tuple[float, float]:
    """For how long the group that was told, and another one, are not called."""
    bench = Bench()
    bench.jitter = 0.0
    began = bench.now
    bench.deliver(add("c1", "a"))
    bench.call()
    bench.answer(outcome)
    bench.deliver(add("c2", "b", BY_KEY._replace(name="other", kind=BY_ID.kind)))
    waits: dict[str, float] = {}
    for _ in range(20):
        while bench.permits_wanted and len(waits) < 2:
            before = len(bench.flights)
            bench.grant()
            if len(bench.flights) > before:
                waits[bench.flights[-1].ref.name] = bench.now - began
                bench.answer(Applied("r"), flight=len(bench.flights) - 1)
        if len(waits) == 2:
            break
        bench.sleep()
    return waits[BY_ID.name], waits["other"]


@pytest.mark.parametrize(
    "outcome",
    [
        Unavailable("HTTP 503", False, "http-503", retry_after_s=30.0, whole_service=True),
        AccountFault("http-403", "no", retry_after_s=30.0),
        Throttled(30.0, "http-429", "slow down"),
    ],
)
def test_retry_after_of_the_service(outcome: Outcome) -> None:
    """No group is called before."""
    own, other = told_to_wait(outcome)
    assert min(own, other) >= 30.0


def test_retry_after_of_one_call() -> None:
    """Its group waits; others go on."""
    own, other = told_to_wait(Unavailable("HTTP 409", True, "http-409", retry_after_s=30.0))
    assert own >= 30.0
    assert other == 0.0


def test_retry_after_without_end() -> None:
    """A vendor that asks for days is asked again after an hour."""
    own, _ = told_to_wait(Unavailable("x", False, "http-503", retry_after_s=1e9, whole_service=True))
    assert own == 3600.0
    own, _ = told_to_wait(AccountFault("http-401", "x", retry_after_s=1e9))
    assert 3600.0 <= own < 3700.0
