"""Planning: the fewest calls that give the group which the commands give one by one."""

from itertools import pairwise
from math import ceil

from engine_commands import BY_ID, BY_KEY, add, create, delete, replace
from engine_strategies import EXPIRIES, NUMBERS, expiries, keyed_commands, memberships, updates
from hypothesis import given
from hypothesis import strategies as st
from model_vendor import Members, ModelVendor, OneByOne, changed
from pure_worker import PureWorker

from numbergroup.engine.calls import Call, CallKind
from numbergroup.engine.commands import Command
from numbergroup.engine.merging.merge import merge
from numbergroup.engine.merging.plan import plan
from numbergroup.engine.merging.vendor_view import VendorView

FATES = st.sampled_from(["fine", "fine", "not sent", "lost", "unanswered"])
caps = st.integers(1, len(NUMBERS))


def bursts(commands: list[Command], cuts: list[int]) -> list[list[Command]]:
    """The commands as they arrive: a burst ends at each of the cut points."""
    places = [0, *sorted(min(cut, len(commands)) for cut in cuts), len(commands)]
    return [commands[a:b] for a, b in pairwise(places)]


@given(updates(), memberships, caps, st.lists(st.integers(0, 10), max_size=4))
def test_the_group_ends_as_one_by_one(
    commands: list[Command], initial: set[str], cap: int, cuts: list[int]
) -> None:
    """For any membership, any cap and any cut points, merged calls give the sequential result."""
    vendor = ModelVendor(cap)
    vendor.put("g-1", initial)
    model = OneByOne.starting_with(BY_ID, initial)
    worker = PureWorker(vendor, BY_ID, "g-1")
    for burst in bursts(commands, cuts):
        worker.pending += burst
        worker.work_all()
    model.apply_all(commands)
    assert vendor.members("g-1") == model.groups[BY_ID]


@given(updates(), memberships, caps, st.lists(st.integers(0, 10), max_size=4), st.lists(FATES, max_size=20))
def test_interrupted_calls_change_nothing_about_the_end(
    commands: list[Command], initial: set[str], cap: int, cuts: list[int], fates: list[str]
) -> None:
    """Calls that failed, or whose answers were lost, and batches cut anew with newer commands in them,
    give the sequential result all the same."""
    vendor = ModelVendor(cap)
    vendor.put("g-1", initial)
    model = OneByOne.starting_with(BY_ID, initial)
    worker = PureWorker(vendor, BY_ID, "g-1")
    trouble = iter(fates)
    for burst in bursts(commands, cuts):
        worker.pending += burst
        if worker.pending:
            worker.work(trouble)
    worker.work_all(trouble)
    model.apply_all(commands)
    assert vendor.members("g-1") == model.groups[BY_ID]


@given(
    keyed_commands(),
    st.none() | memberships,
    caps,
    st.lists(st.integers(0, 10), max_size=4),
    st.lists(FATES, max_size=20),
)
def test_groups_that_come_and_go_end_as_one_by_one(
    commands: list[Command], initial: set[str] | None, cap: int, cuts: list[int], fates: list[str]
) -> None:
    """With creations, deletions and refusals among the updates: the same group, and the same refusals."""
    vendor = ModelVendor(cap)
    if initial is not None:
        vendor.put("g-1", initial)
    worker = PureWorker(vendor, BY_KEY, None if initial is None else "g-1")
    trouble = iter(fates)
    for burst in bursts(commands, cuts):
        worker.pending += burst
        if worker.pending:
            worker.work(trouble)
    worker.work_all(trouble)

    model = OneByOne.starting_with(BY_KEY, initial)
    applied = model.apply_all(commands)
    assert {c.key.id for c, well in zip(commands, applied, strict=True) if not well} == worker.refused
    assert [group.numbers for group in vendor.groups.values()] == list(model.groups.values())


@given(updates(), memberships, caps)
def test_the_calls_are_as_few_as_can_be(commands: list[Command], initial: set[str], cap: int) -> None:
    """Without a base: a call for each chunk of deletes and of adds. With one: a call for each chunk of
    the final numbers; a group that ends empty costs two, or a look and the deletes."""
    vendor = ModelVendor(cap)
    vendor.put("g-1", initial)
    model = OneByOne.starting_with(BY_ID, initial)
    PureWorker(vendor, BY_ID, "g-1", list(commands)).work_all()
    model.apply_all(commands)

    final = model.groups[BY_ID]
    last_replace = max((i for i, c in enumerate(commands) if c.kind.name == "REPLACE"), default=None)
    if last_replace is None:
        last_word = {number: c.kind.name for c in commands for number in c.numbers}
        words = list(last_word.values())
        assert len(vendor.calls) == ceil(words.count("DELETE") / cap) + ceil(words.count("ADD") / cap)
    elif final:
        assert len(vendor.calls) == ceil(len(final) / cap)
    elif any(c.numbers for c in commands[last_replace:]):
        assert len(vendor.calls) == 2
    else:
        assert len(vendor.calls) == 1 + ceil(len(initial) / cap)


@given(keyed_commands(), caps)
def test_a_creation_costs_as_few_calls_as_can_be(commands: list[Command], cap: int) -> None:
    """A create with later changes: a call for each chunk of the final numbers, two if it ends empty;
    created and deleted at once: none."""
    batch = [create("c", "xyz"), *(c for c in commands if c.kind.name in ("ADD", "DELETE", "REPLACE"))]
    vendor = ModelVendor(cap)
    PureWorker(vendor, BY_KEY, None, list(batch)).work_all()
    model = OneByOne()
    model.apply_all(batch)
    final = model.groups[BY_KEY]
    assert len(vendor.calls) == (ceil(len(final) / cap) if final else 2)


@given(updates(), memberships, caps)
def test_no_call_is_made_for_what_a_later_command_undoes(
    commands: list[Command], initial: set[str], cap: int
) -> None:
    """No number is sent in a way that the end of the batch contradicts, and none is sent twice
    (but for the one number that says an empty replace)."""
    vendor = ModelVendor(cap)
    vendor.put("g-1", initial)
    model = OneByOne.starting_with(BY_ID, initial)
    PureWorker(vendor, BY_ID, "g-1", list(commands)).work_all()
    model.apply_all(commands)
    final = model.groups[BY_ID]
    if not final:
        return
    sent = [number for call in vendor.calls for number in call.numbers]
    assert len(sent) == len(set(sent))
    for call in vendor.calls:
        if call.kind is CallKind.DELETE:
            assert set(call.numbers).isdisjoint(final)
        else:
            assert set(call.numbers) <= final


@given(updates(), memberships, caps, st.integers(0, 5))
def test_what_the_vendor_was_told_is_not_said_twice(
    commands: list[Command], initial: set[str], cap: int, well: int
) -> None:
    """After a call that was surely not applied only the residue is sent: as many calls as without it."""

    def calls_with(fates: list[str]) -> int:
        vendor = ModelVendor(cap)
        vendor.put("g-1", initial)
        PureWorker(vendor, BY_ID, "g-1", list(commands)).work_all(fates)
        return len(vendor.calls)

    assert calls_with(["fine"] * well + ["not sent"]) <= calls_with([])


_calls = st.builds(
    Call,
    st.sampled_from([CallKind.ADD, CallKind.DELETE, CallKind.REPLACE]),
    st.sets(st.sampled_from(NUMBERS), min_size=1).map(lambda s: tuple(sorted(s))),
    expires_at=expiries,
)


@given(
    memberships,
    memberships,
    st.lists(st.tuples(_calls, st.sampled_from(["fine", "lost", "unanswered"])), max_size=8),
)
def test_what_is_known_of_a_group_is_true(
    initial: set[str], rejects: set[str], calls: list[tuple[Call, str]]
) -> None:
    """Whatever was answered, and lost, and not taken: what is said to be certain of a number is so."""
    members: Members = dict.fromkeys(initial)
    known = VendorView()
    for call, fate in calls:
        if fate != "lost":
            members = changed(members, call, rejects)
        if fate == "fine":
            known.apply(call, "r", rejects if call.kind is not CallKind.DELETE else ())
        else:
            known.mark_uncertain(call)
        for number in NUMBERS:
            assert not known.is_certain(number, number not in members)
            for expiry in EXPIRIES:
                assert members.get(number, expiry) == expiry or not known.is_certain(number, True, expiry)


def test_deletes_go_before_adds() -> None:
    """Without a base, numbers leave before others come: a group with a limit has room for them."""
    commands = [add("c1", "ab"), delete("c2", "xy")]
    calls = plan(merge(commands, exists=True), commands, VendorView(), group_id="g-1", numbers_per_call=1)
    assert [call.kind for call in calls] == [CallKind.DELETE] * 2 + [CallKind.ADD] * 2


def test_an_empty_replace_alone_is_read_then_deleted() -> None:
    """An empty replace cannot be said to the vendor: the members are read, and deleted."""
    vendor = ModelVendor(cap=2)
    vendor.put("g-1", "abc")
    PureWorker(vendor, BY_ID, "g-1", [replace("c1", "")]).work_all()
    assert [call.kind for call in vendor.calls] == [CallKind.READ_MEMBERS, CallKind.DELETE, CallKind.DELETE]
    assert vendor.members("g-1") == set()


def test_a_group_that_is_created_empty_is_made_with_one_number_that_leaves_again() -> None:
    """The vendor makes no group without numbers: one number of the create's goes in and out."""
    vendor = ModelVendor()
    PureWorker(vendor, BY_KEY, None, [create("c1", "ab"), replace("c2", "", BY_KEY)]).work_all()
    assert [(call.kind, call.numbers) for call in vendor.calls] == [
        (CallKind.CREATE, ("a",)),
        (CallKind.DELETE, ("a",)),
    ]
