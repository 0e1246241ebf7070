"""Renames: the last word on a group's name and on its remark, each for itself, and no call for nothing."""

from itertools import pairwise

import pytest
from engine_bench import LOST, UNREACHABLE, WINDOW_S, Bench
from engine_commands import BY_ID, BY_KEY, add, create, delete_group, rename, replace
from engine_strategies import keyed_commands
from hypothesis import given
from hypothesis import strategies as st
from model_vendor import ModelVendor, OneByOne
from pure_worker import PureWorker
from replay_office import Office

from numbergroup.engine.calls import Applied, Call, CallKind, Group, Refused
from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.doubt import undoes
from numbergroup.engine.group.creation import strip_marker

FATES = st.sampled_from(["fine", "fine", "fine", "not sent", "lost", "unanswered"])


def calls_of(bench: Bench, vendor: ModelVendor | None = None) -> list[Call]:
    vendor = vendor or ModelVendor()
    if "g-1" not in vendor.groups:
        vendor.put("g-1", "")
    bench.run(vendor.carry_out)
    return vendor.calls


@given(
    keyed_commands(renaming=True, expiring=True),
    st.integers(1, 6),
    st.lists(st.integers(0, 10), max_size=4),
    st.lists(FATES, max_size=20),
    st.booleans(),
)
def test_a_group_ends_named_as_one_by_one(
    commands: list[Command], cap: int, cuts: list[int], fates: list[str], marks: bool
) -> None:
    """Wherever the batches are cut, and whatever becomes of calls on the way: members with their own expiry,
    name and remark are those of the commands one by one."""
    vendor = ModelVendor(cap)
    worker = PureWorker(vendor, BY_KEY, None, marks=marks)
    trouble = iter(fates)
    places = [0, *sorted(min(cut, len(commands)) for cut in cuts), len(commands)]
    for start, end in pairwise(places):
        worker.pending += commands[start:end]
        if worker.pending:
            worker.work(trouble)
    worker.work_all(trouble)
    model = OneByOne()
    model.apply_all(commands)
    found = [(group.members, group.name, group.remark) for group in vendor.groups.values()]
    made = [*vendor.groups]
    assert found == [
        (members, model.texts[ref][0] or made[0], model.texts[ref][1])
        for ref, members in model.members.items()
    ]


def test_later_renames_override_earlier_ones_field_by_field() -> None:
    """One call with what is left; who is overridden altogether is superseded, and names the call that
    decided."""
    bench = Bench()
    bench.deliver(
        rename("c1", "one"), rename("c2", "two", "first"), rename("c3", remark="second"), add("c4", "a")
    )
    add_call, rename_call = calls_of(bench)
    assert (rename_call.kind, rename_call.group_name, rename_call.remark) == (
        CallKind.RENAME,
        "two",
        "second",
    )
    assert bench.statuses == {"c1": "superseded", "c2": "applied", "c3": "applied", "c4": "applied"}
    assert {name: one.request_ids for name, one in bench.verdicts.items()} == {
        "c1": ("r2",),
        "c2": ("r2",),
        "c3": ("r2",),
        "c4": ("r1",),
    }
    assert add_call.group_name is None


def test_a_deletion_supersedes_a_rename() -> None:
    """Nothing is said of a group that goes."""
    bench = Bench()
    bench.deliver(rename("c1", "one"), delete_group("c2"))
    assert [call.kind for call in calls_of(bench)] == [CallKind.DELETE_GROUP]
    assert bench.statuses == {"c1": "superseded", "c2": "applied"}


def test_a_rename_folds_into_the_create_that_waits() -> None:
    """The group is made under its last name, and the rename is answered with the create's requestId."""
    bench, vendor = Bench(), ModelVendor()
    bench.deliver(create("c1", "a", group_name="one"), rename("c2", "two", "of two", group=BY_KEY))
    bench.run(vendor.carry_out)
    (call,) = vendor.calls
    assert (call.kind, call.group_name) == (CallKind.CREATE, "two")
    (group,) = vendor.groups.values()
    assert strip_marker(Group("g", group.name, group.remark, ())).remark == "of two"
    assert bench.statuses == {"c1": "applied", "c2": "applied"}
    assert bench.verdicts["c2"].request_ids == ("r1",)


def test_a_create_without_a_marker_keeps_its_name_until_it_is_made() -> None:
    """By its own name a lost one is known again; the remark is nobody's sign, and goes with it."""
    bench, vendor = Bench(marker=False), ModelVendor()
    bench.deliver(create("c1", "a", group_name="one"), rename("c2", "two", "of two", group=BY_KEY))
    bench.run(vendor.carry_out)
    said = [(call.kind, call.group_name, call.remark) for call in vendor.calls]
    assert said == [(CallKind.CREATE, "one", "of two"), (CallKind.RENAME, "two", None)]


def test_a_rename_of_no_group_is_refused() -> None:
    """As an update of one is."""
    bench = Bench()
    bench.deliver(rename("c1", "one", group=BY_KEY))
    assert bench.statuses == {} or bench.verdicts["c1"].fault
    bench.run(ModelVendor().carry_out)
    fault = bench.verdicts["c1"].fault
    assert fault is not None
    assert fault.kind == "unknown-group"


def test_a_vendor_that_cannot_is_not_asked() -> None:
    """The command is rejected before any call."""
    bench = Bench(supports=frozenset(CommandKind) - {CommandKind.RENAME})
    bench.deliver(rename("c1", "one"))
    fault = bench.verdicts["c1"].fault
    assert fault is not None
    assert fault.kind == "unsupported"


def test_a_refused_rename_is_found_among_others() -> None:
    """Those merged with it go through."""
    bench, vendor = Bench(), ModelVendor()
    vendor.put("g-1", "")
    bench.deliver(add("c1", "a"), rename("c2", "bad"), rename("c3", remark="fine"))

    def answer(call: Call) -> Applied | Refused:
        return Refused("1002", "no such name") if call.group_name == "bad" else vendor.carry_out(call)

    bench.run(answer)
    assert bench.statuses == {"c1": "applied", "c2": "rejected", "c3": "applied"}
    assert vendor.groups["g-1"].remark == "fine"


def test_an_unanswered_rename_cannot_undo_a_later_one() -> None:
    """What sets the same text otherwise waits until the lost one can no longer arrive."""
    bench = Bench()
    bench.deliver(rename("c1", "one"))
    bench.call()
    bench.answer(LOST)
    bench.deliver(rename("c2", "two"))
    bench.sleep()
    bench.grant()
    assert bench.flights == []
    bench.sleep()
    assert bench.now == 1_000 + WINDOW_S
    assert bench.call().group_name == "two"


@pytest.mark.parametrize(
    ("late", "call", "conflict"),
    [
        (("one", None), ("two", None), True),
        (("one", None), ("one", "x"), False),
        (("one", None), (None, "x"), False),
        (("one", "y"), (None, "x"), True),
    ],
)
def test_which_renames_undo_each_other(
    late: tuple[str | None, str | None], call: tuple[str | None, str | None], conflict: bool
) -> None:
    """Those that set one text to two things; numbers and names have nothing to do with each other."""
    first, second = (
        Call(CallKind.RENAME, group_id="g", group_name=name, remark=remark) for name, remark in (late, call)
    )
    assert undoes(first, second) is conflict
    for kind in (CallKind.ADD, CallKind.REPLACE, CallKind.READ_MEMBERS):
        assert not undoes(first, Call(kind, ("a",), "g"))
        assert not undoes(Call(kind, ("a",), "g"), first)
    assert undoes(first, Call(CallKind.DELETE_GROUP, group_id="g"))


def test_what_is_said_already_is_not_said_again() -> None:
    """After a failure only what is left of the batch is sent."""
    bench, vendor = Bench(cap=1), ModelVendor(cap=1)
    bench.deliver(create("c1", "ab", group_name="one"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(Applied("x"), doubt=False)
    assert bench.statuses == {"c1": "applied"}
    assert [call.kind for call in vendor.calls] == [CallKind.CREATE]


def test_a_rename_that_was_refused_and_is_tried_again_undoes_no_newer_one() -> None:
    """What a later rename has decided since is left out; a replay of which nothing is left is superseded."""
    office = Office()
    office.vendor.poison = ()
    refusing = {"bad"}

    def answer(call: Call) -> Applied | Refused:
        if call.group_name in refusing:
            return Refused("1002", "no")
        return office.vendor.carry_out(call)

    office.publish(rename("c1", "bad", "old"))
    office.bench.run(answer)
    office.write()
    office.publish(rename("c2", "new"))
    office.bench.run(answer)
    office.write()
    refusing.clear()
    office.again("c1")
    office.work()
    group = office.vendor.groups["g-1"]
    assert (group.name, group.remark) == ("new", "old")


def test_a_replay_of_a_rename_stands_before_a_later_replacement_of_the_numbers() -> None:
    """A number is never taken for a text, nor a text for a number: a replaced membership stays as it is."""
    office = Office(members="a")
    office.publish(replace("c1", "ab", group=BY_ID), rename("c2", "two"))
    office.work()
    assert office.vendor.members("g-1") == {"a", "b"}
    assert office.vendor.groups["g-1"].name == "two"


def test_a_rename_takes_the_marker_of_an_unsettled_create_away() -> None:
    """Before it is sent, the ledger knows the group by its id: a successor must not make it again."""
    bench, vendor = Bench(cap=1), ModelVendor(cap=1)
    bench.deliver(create("c1", "ab", group_name="one"))
    bench.answer(vendor.carry_out(bench.call()))
    bench.call()
    bench.answer(UNREACHABLE)
    bench.deliver(rename("c2", remark="new", group=BY_KEY))
    bench.sleep()
    made = {}
    while bench.waiting:
        call = bench.call()
        made[call.kind] = bench.flights[-1].created_group
        bench.answer(vendor.carry_out(call))
    assert made[CallKind.ADD] is None
    assert made[CallKind.RENAME] is not None
    assert made[CallKind.RENAME].group_id == "made-by-r1"
