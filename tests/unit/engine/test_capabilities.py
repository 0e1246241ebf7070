"""Merging and planning for vendors that can do less than all, or more: whatever they can, the group ends as
one by one."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from engine_commands import BY_ID, BY_KEY, add, create, delete, replace
from engine_strategies import NUMBERS, keyed_commands, memberships, updates
from hypothesis import given
from hypothesis import strategies as st
from model_vendor import ModelVendor, OneByOne
from pure_worker import PureWorker

from numbergroup.engine.calls import Applied, Call, CallKind
from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.merging.merge import merge
from numbergroup.engine.merging.plan import plan
from numbergroup.engine.merging.vendor_view import VendorView

FATES = st.sampled_from(["fine", "fine", "not sent", "lost", "unanswered"])


@dataclass(frozen=True)
class Can:
    """What a vendor can do; `rejects`: the numbers that never come into a group of it."""

    cap: int
    replaces: bool
    lists: bool
    rejects: frozenset[str]

    def vendor(self) -> ModelVendor:
        return ModelVendor(self.cap, (), self.rejects, self.replaces, self.lists)

    def admitted(self, commands: list[Command]) -> list[Command]:
        """Those that such an account lets in."""
        return [one for one in commands if self._admits(one)]

    def _admits(self, command: Command) -> bool:
        if command.kind is CommandKind.REPLACE:
            return self.replaces and (self.lists or bool(command.numbers))
        return True


cans = st.builds(
    Can,
    st.integers(1, len(NUMBERS)),
    st.booleans(),
    st.booleans(),
    st.sets(st.sampled_from(NUMBERS), max_size=3).map(frozenset),
)
cuts = st.lists(st.integers(0, 10), max_size=4)


def told_in_bursts(worker: PureWorker, commands: list[Command], cuts: list[int], fates: list[str]) -> None:
    trouble = iter(fates)
    places = [0, *sorted(min(cut, len(commands)) for cut in cuts), len(commands)]
    for first, last in pairwise(places):
        worker.pending += commands[first:last]
        if worker.pending:
            worker.work(trouble)
    worker.work_all(trouble)


@given(cans, updates(expiring=True), memberships, cuts, st.lists(FATES, max_size=20))
def test_the_group_ends_as_one_by_one_whatever_the_vendor_can(
    can: Can, commands: list[Command], initial: set[str], cuts: list[int], fates: list[str]
) -> None:
    """With and without replace and list, with numbers that leave by themselves and numbers that are not
    taken, and with lost answers: each number is in the group as the last word says, for as long."""
    vendor, commands = can.vendor(), can.admitted(commands)
    vendor.put("g-1", initial - can.rejects)
    told_in_bursts(PureWorker(vendor, BY_ID, "g-1"), commands, cuts, fates)
    model = OneByOne.starting_with(BY_ID, initial - can.rejects)
    model.rejects = can.rejects
    model.apply_all(commands)
    assert vendor.groups["g-1"].members == model.members[BY_ID]


@given(cans, keyed_commands(expiring=True), cuts, st.lists(FATES, max_size=20))
def test_created_groups_end_as_one_by_one_whatever_the_vendor_can(
    can: Can, commands: list[Command], cuts: list[int], fates: list[str]
) -> None:
    """A create is followed by changes, and some of its calls fail: no vendor is asked for what it has not,
    and the groups are those of the commands one by one."""
    vendor, commands = can.vendor(), can.admitted(commands)
    told_in_bursts(PureWorker(vendor, BY_KEY, None), commands, cuts, fates)
    model = OneByOne(rejects=can.rejects)
    model.apply_all(commands)
    assert [group.members for group in vendor.groups.values()] == list(model.members.values())


def by_expiry(commands: list[Command]) -> tuple[Counter[float | None], int]:
    """The last words of commands without a base: how many numbers come for how long, and how many go."""
    last = {number: command for command in commands for number in command.numbers}
    come = Counter(one.number_expiry for one in last.values() if one.kind is not CommandKind.DELETE)
    return come, len(last) - come.total()


@given(updates(expiring=True), memberships, st.integers(1, len(NUMBERS)))
def test_the_calls_are_as_few_as_can_be_for_each_expiry(
    commands: list[Command], initial: set[str], cap: int
) -> None:
    """A call adds numbers that leave together: one for each chunk of those, and no more."""
    can = Can(cap, False, False, frozenset())
    vendor, commands = can.vendor(), can.admitted(commands)
    vendor.put("g-1", initial)
    PureWorker(vendor, BY_ID, "g-1", list(commands)).work_all()
    come, go = by_expiry(commands)
    assert len(vendor.calls) == sum(ceil(count / cap) for count in come.values()) + ceil(go / cap)


@given(updates(expiring=True), memberships, st.integers(1, len(NUMBERS)))
def test_a_replace_costs_a_call_for_each_chunk_of_each_expiry(
    commands: list[Command], initial: set[str], cap: int
) -> None:
    """With a base, the final numbers are told once each, with those that leave with them."""
    base = replace("base", NUMBERS[:2], number_expiry=7_000.0)
    commands = [one for one in commands if one.kind is not CommandKind.REPLACE]
    vendor = ModelVendor(cap)
    vendor.put("g-1", initial)
    PureWorker(vendor, BY_ID, "g-1", [base, *commands]).work_all()
    final = Counter(vendor.groups["g-1"].members.values())
    least = sum(ceil(count / cap) for count in final.values()) or 2
    assert len(vendor.calls) == least


@given(cans, updates(expiring=True), memberships)
def test_what_was_not_taken_is_not_told_again_the_same_way(
    can: Can, commands: list[Command], initial: set[str]
) -> None:
    """A batch that fails after its adds tells the vendor nothing again of the numbers that it named."""
    vendor = can.vendor()
    vendor.put("g-1", initial - can.rejects)
    commands = [one for one in can.admitted(commands) if one.kind is not CommandKind.REPLACE]
    known = VendorView()
    for _ in range(2):
        change = merge(commands, exists=True)
        calls = plan(change, commands, known, group_id="g-1", numbers_per_call=can.cap)
        for call in calls:
            outcome = vendor.carry_out(call)
            assert isinstance(outcome, Applied)
            known.apply(call, outcome.request_id, outcome.rejected)
    assert calls == []


def edits(commands: list[Command], known: VendorView, *, replaces: bool = True) -> list[Call]:
    change = merge(commands, exists=True)
    return plan(change, commands, known, group_id="g-1", numbers_per_call=10, has_replace=replaces)


def test_a_number_whose_add_was_not_taken_is_deleted_all_the_same() -> None:
    """That it was not taken says nothing about whether it was in the group before."""
    known = VendorView()
    known.apply(Call(CallKind.ADD, ("a", "b"), "g-1"), "r1", ("b",))
    assert edits([add("c1", "ab"), delete("c2", "b")], known) == [Call(CallKind.DELETE, ("b",), "g-1")]


def test_a_replace_that_left_one_out_says_nothing_about_it() -> None:
    """Whether it stayed as it was, or left with the others, no vendor says."""
    known = VendorView()
    known.apply(Call(CallKind.REPLACE, ("a", "b"), "g-1"), "r1", ("b",))
    assert edits([delete("c1", "bz")], known) == [Call(CallKind.DELETE, ("b",), "g-1")]


def test_a_number_is_told_again_for_another_expiry() -> None:
    """That it is in the group is known; but not for so long."""
    known = VendorView()
    known.apply(Call(CallKind.ADD, ("a", "b"), "g-1", expires_at=5.0), "r1")
    assert edits([add("c1", "ab", number_expiry=5.0), add("c2", "b")], known) == [
        Call(CallKind.ADD, ("b",), "g-1")
    ]


def test_only_what_is_in_doubt_is_told_again_of_a_created_group() -> None:
    """Of a group that was made whole all is known but what an unanswered call was about: no replace."""
    known, made = VendorView(), create("c1", "abcd")
    known.apply(Call(CallKind.CREATE, ("a", "b")), "r1")
    known.mark_uncertain(Call(CallKind.ADD, ("c", "d"), "g-1"))
    commands = [made, delete("c2", "ad", BY_KEY)]
    change = merge(commands, exists=False, created_by=made)
    calls = plan(change, commands, known, group_id="g-1", numbers_per_call=2, has_replace=False)
    assert calls == [Call(CallKind.DELETE, ("a", "d"), "g-1"), Call(CallKind.ADD, ("c",), "g-1")]


def test_the_calls_of_one_chunk_have_the_expiry_of_their_numbers() -> None:
    """In the order in which the commands named them, the vendor is told when they leave."""
    commands = [add("c1", "ab", number_expiry=5.0), add("c2", "c"), add("c3", "d", number_expiry=5.0)]
    assert edits(commands, VendorView()) == [
        Call(CallKind.ADD, ("a", "b", "d"), "g-1", expires_at=5.0),
        Call(CallKind.ADD, ("c",), "g-1"),
    ]
