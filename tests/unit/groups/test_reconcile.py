"""From listed groups to wanted ones: the right end, by the fewest calls that the vendor's API allows."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.cli.dry_run import plan_groups
from numbergroup.cli.groups.events import Envelope, make_events
from numbergroup.cli.groups.reconcile import Difference, Rules, WantedGroup, reconcile
from numbergroup.engine.calls import Call, CallKind, Group
from numbergroup.engine.commands import Command, CommandKind, Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.settings import NXCloudAccount, Settings

NUMBERS = [f"8521111111{n}" for n in range(8)]
FEW = frozenset(NUMBERS[:5])
EVERYTHING = frozenset(CommandKind)

members = st.frozensets(st.sampled_from(NUMBERS))
few = st.frozensets(st.sampled_from(sorted(FEW)))
sizes = st.integers(1, 4)
listings = st.dictionaries(st.sampled_from("abcd"), members)


def is_phone(number: str) -> bool:
    return number.isdigit()


def rules(size: int, **more: object) -> Rules:
    return Rules(**{"commands": EVERYTHING, "numbers_per_call": size, "is_number": is_phone, **more})  # type: ignore[arg-type]


def group(group_id: str, numbers: Iterable[str], name: str | None = None) -> Group:
    return Group(group_id, group_id if name is None else name, "", tuple(numbers))


def by_id(groups: dict[str, frozenset[str]]) -> list[WantedGroup]:
    return [WantedGroup(name, "", line, set(groups[name])) for line, name in enumerate(groups, 1)]


def by_name(groups: dict[str, frozenset[str]]) -> list[WantedGroup]:
    return [WantedGroup(None, name, line, set(groups[name])) for line, name in enumerate(groups, 1)]


def commands(lines: Iterable[bytes]) -> list[Command]:
    """What a worker makes of them; nothing that it would refuse."""
    found = [item for line in lines for item in Intake().read(Entry(0, "", line))]
    assert all(isinstance(one, Command) for one in found)
    return [one for one in found if isinstance(one, Command)]


def calls(lines: Iterable[bytes], size: int) -> Iterator[tuple[str, Call]]:
    """What a worker would send, by its own rules, and for which group."""
    account = NXCloudAccount(access_key="k", access_secret="s", numbers_per_call=size)
    for planned in plan_groups(commands(lines), Settings(accounts={"default": account})):
        assert planned.rejected == []
        for one in planned.calls:
            yield planned.ref.name, one.call


def carried_out(groups: dict[str, set[str]], made: Iterable[tuple[str, Call]], size: int) -> int:
    """Change the groups as the vendor would; how many calls it took. New groups go by their name."""
    count = 0
    created: dict[str, str] = {}
    for ref, call in made:
        count += 1
        assert len(call.numbers) <= size
        assert call.numbers or call.kind is CallKind.DELETE_GROUP
        name = created.get(ref, ref)
        match call.kind:
            case CallKind.CREATE:
                assert call.group_name is not None
                assert call.group_name not in groups
                created[ref] = call.group_name
                groups[call.group_name] = set(call.numbers)
            case CallKind.ADD:
                groups[name].update(call.numbers)
            case CallKind.DELETE:
                groups[name].difference_update(call.numbers)
            case CallKind.REPLACE:
                groups[name] = set(call.numbers)
            case CallKind.DELETE_GROUP:
                del groups[name]
            case _:
                raise AssertionError(call.kind)
    return count


def envelope(size: int, most_bytes: int = 1_048_576) -> Envelope:
    return Envelope("test", "default", "run", most_bytes, size)


@given(listings, listings, sizes, st.booleans(), st.booleans(), st.integers(280, 420))
def test_the_commands_lead_there(
    listed: dict[str, frozenset[str]],
    wanted: dict[str, frozenset[str]],
    size: int,
    delete_others: bool,
    may_replace: bool,
    most_bytes: int,
) -> None:
    """What workers make of the commands turns the listed groups into the wanted ones, also where messages are
    small; it takes as many calls as was said, and then there is no difference."""
    wanted = {name: numbers for name, numbers in wanted.items() if numbers or name in listed}
    done = rules(size, delete_others=delete_others, may_replace=may_replace)
    before = [group(name, listed[name]) for name in listed]
    found = reconcile(by_name(wanted), before, done)
    assert found.problems == []
    groups = {name: set(numbers) for name, numbers in listed.items()}
    lines = list(make_events(found.differences, envelope(size, most_bytes)))
    count = carried_out(groups, calls(lines, size), size)
    assert count == sum(one.count_calls(size) for one in found.differences)
    left = {} if delete_others else {name: set(listed[name]) for name in listed if name not in wanted}
    assert groups == {name: set(wanted[name]) for name in wanted} | left
    again = reconcile(by_name(wanted), [group(name, groups[name]) for name in groups], done)
    assert (again.differences, again.unchanged, again.others) == ([], len(wanted), len(left))


@cache
def fewest(size: int) -> dict[tuple[frozenset[str], frozenset[str]], int]:
    """Between any two groups of a few numbers, the fewest calls, found by trying all of them."""
    some = [frozenset(one) for count in range(1, size + 1) for one in combinations(sorted(FEW), count)]
    every = [frozenset(one) for count in range(len(FEW) + 1) for one in combinations(sorted(FEW), count)]
    found = {}
    for start in every:
        distance = {start: 0}
        border = [start]
        while border:
            new = []
            for at in border:
                for numbers in some:
                    for end in (at | numbers, at - numbers, numbers):
                        if end not in distance:
                            distance[end] = distance[at] + 1
                            new.append(end)
            border = new
        found.update({(start, end): steps for end, steps in distance.items()})
    return found


@given(few, few, st.integers(1, 3))
def test_no_fewer_calls_would_do(listed: frozenset[str], wanted: frozenset[str], size: int) -> None:
    """Trying all calls there are finds no shorter way."""
    found = reconcile(by_id({"g": wanted}), [group("g", listed)], rules(size))
    assert sum(one.count_calls(size) for one in found.differences) == fewest(size)[listed, wanted]


@given(members, members, sizes)
def test_an_edit_at_the_same_price(listed: frozenset[str], wanted: frozenset[str], size: int) -> None:
    """A group is replaced only where that takes fewer calls; an edit names the difference and no more."""
    found = reconcile(by_id({"g": wanted}), [group("g", listed)], rules(size))
    edited = reconcile(by_id({"g": wanted}), [group("g", listed)], rules(size, may_replace=False))
    if not found.differences:
        assert listed == wanted
        return
    (one,), (edit,) = found.differences, edited.differences
    said = {step.kind: set(step.numbers) for step in edit.steps}
    assert said.get(CommandKind.DELETE, set()) == listed - wanted
    assert said.get(CommandKind.ADD, set()) == wanted - listed
    if any(step.kind is CommandKind.REPLACE for step in one.steps):
        assert one.count_calls(size) < edit.count_calls(size)
    else:
        assert one == edit


def kinds(found: Sequence[Difference]) -> list[str]:
    return [step.kind.name for one in found for step in one.steps]


@pytest.mark.parametrize(
    ("listed", "wanted", "steps"),
    [
        (NUMBERS[:4], NUMBERS[:4], []),
        (NUMBERS[:4], NUMBERS[:6], ["ADD"]),
        (NUMBERS[:4], NUMBERS[:1], ["DELETE"]),
        (NUMBERS[:7], NUMBERS[:5] + NUMBERS[7:], ["DELETE", "ADD"]),
        (NUMBERS[:4], NUMBERS[4:6], ["REPLACE"]),
        (NUMBERS[:3], [], ["DELETE"]),
        (NUMBERS[:7], [], ["REPLACE", "DELETE"]),
        ([], NUMBERS[:3], ["ADD"]),
    ],
)
def test_what_is_done(listed: list[str], wanted: list[str], steps: list[str]) -> None:
    """By what the difference is, with three numbers a call."""
    found = reconcile(by_id({"g": frozenset(wanted)}), [group("g", listed)], rules(3))
    assert kinds(found.differences) == steps


def test_names_and_ids_of_one_group() -> None:
    """A group that is wanted by its name here and by its id there is one group."""
    wanted = [WantedGroup(None, "vip", 1, {NUMBERS[0]}), WantedGroup("g", "", 2, {NUMBERS[1]})]
    found = reconcile(wanted, [group("g", NUMBERS[:1], "vip")], rules(1))
    (one,) = found.differences
    assert (one.group_id, kinds([one]), one.number_count) == ("g", ["ADD"], 1)


def test_what_cannot_be_had() -> None:
    """An id that is not there, a name that several have, and a new group without numbers: by their lines."""
    listed = [group("g1", [], "vip"), group("g2", [], "vip")]
    wanted = [
        WantedGroup("g3", "", 4),
        WantedGroup(None, "vip", 7, {NUMBERS[0]}),
        WantedGroup(None, "new", 9),
    ]
    found = reconcile(wanted, listed, rules(1))
    assert [one.split(":")[0] for one in found.problems] == ["line 4", "line 7", "line 9"]
    assert "g1, g2" in "".join(found.problems)
    assert found.differences == []


def test_a_vendor_that_can_do_less() -> None:
    """Nothing is said that the vendor does not know: without a replace it is an edit, without a way a
    problem."""
    edits = frozenset({CommandKind.ADD, CommandKind.DELETE})
    swap = by_id({"g": frozenset(NUMBERS[4:6])})
    found = reconcile(swap, [group("g", NUMBERS[:4])], rules(3, commands=edits))
    assert kinds(found.differences) == ["DELETE", "ADD"]
    adds = reconcile(swap, [group("g", NUMBERS[:4])], rules(3, commands={CommandKind.ADD}))
    assert (adds.differences, len(adds.problems)) == ([], 1)
    new = reconcile(by_name({"new": frozenset(NUMBERS)}), [], rules(3, commands=edits))
    assert (new.differences, len(new.problems)) == ([], 1)


def test_numbers_that_no_command_can_name() -> None:
    """What the vendor has under a number that is none stays: it is counted, and no replace takes it out."""
    listed = [group("g", ["junk", *NUMBERS[:4]])]
    found = reconcile(by_id({"g": frozenset(NUMBERS[4:6])}), listed, rules(3))
    assert (kinds(found.differences), found.invalid_numbers) == (["DELETE", "ADD"], 1)
    same = reconcile(by_id({"g": frozenset(NUMBERS[:4])}), listed, rules(3))
    assert (same.differences, same.unchanged, same.invalid_numbers) == ([], 1, 1)


@given(st.integers(1, 120), st.integers(1, 20), st.integers(300, 2_000))
def test_no_command_is_too_large(count: int, size: int, most_bytes: int) -> None:
    """A change that is larger than a message becomes several commands, and costs no call more for it."""
    numbers = frozenset(f"852111{n:09}" for n in range(count))
    found = reconcile(by_name({"new": numbers}), [group("g", [])], rules(size))
    lines = list(make_events(found.differences, envelope(size, most_bytes)))
    assert all(len(line) <= most_bytes for line in lines)
    groups: dict[str, set[str]] = {}
    assert carried_out(groups, calls(lines, size), size) == -(-count // size)
    assert groups == {"new": set(numbers)}


@pytest.mark.parametrize("listed", [[], NUMBERS])
def test_cut_between_calls(listed: list[str]) -> None:
    """Also when a worker sees the commands of a large change one after the other, it makes no call more."""
    numbers = frozenset(f"852111{n:09}" for n in range(100))
    found = reconcile(by_name({"g": numbers}), [group("g", listed)], rules(7))
    lines = list(make_events(found.differences, envelope(7, 600)))
    assert len(lines) > 1
    groups = {"g": set(listed)}
    one_by_one = (made for line in lines for made in calls([line], 7))
    assert carried_out(groups, one_by_one, 7) == -(-len(numbers) // 7) == found.differences[0].count_calls(7)
    assert groups == {"g": numbers}


def test_ids_and_order() -> None:
    """Every command has an id of its own, and a deletion stands before the addition."""
    wanted = by_id({"g": frozenset(NUMBERS[:5] + NUMBERS[7:]), "h": frozenset(NUMBERS[:1])})
    found = reconcile(wanted, [group("g", NUMBERS[:7]), group("h", [])], rules(3))
    made = commands(make_events(found.differences, envelope(3)))
    assert [one.key.id for one in made] == ["run-1", "run-2", "run-3"]
    assert [(one.group.name, one.kind.name) for one in made] == [
        ("g", "DELETE"),
        ("g", "ADD"),
        ("h", "ADD"),
    ]


NAMES = {
    "the same": "Große Gruppe",
    "with a zero-width space": "Große Gruppe\u200b",
    "with a byte order mark": "\ufeffGroße Gruppe",
    "with a soft hyphen": "Große\u00ad Gruppe",
    "with a variation selector": "Große\ufe0f Gruppe",
    "with a mark of direction": "\u200eGroße Gruppe\u200e",
    "with blanks at its ends": " Große Gruppe ",
    "with other white space at its end": "Große Gruppe\u3000\t",
}


@pytest.mark.parametrize("file", NAMES)
@pytest.mark.parametrize("listed", NAMES)
def test_names_that_look_the_same(file: str, listed: str) -> None:
    """One name, however it is written: nothing is created beside the group that is there, and a warning says
    how the names differ."""
    there = group("g-1", NUMBERS[:1], NAMES[listed])
    found = reconcile([WantedGroup(None, NAMES[file], 7, {NUMBERS[0]})], [there], rules(10))
    assert (found.differences, found.unchanged, found.others, found.problems) == ([], 1, 0, [])
    assert len(found.warnings) == (file != listed)
    assert all(line.startswith("line 7: ") and "group g-1" in line for line in found.warnings)


def test_composed_and_decomposed_names() -> None:
    """Unicode has two ways to write them, and files come from systems that prefer one."""
    there = group("g-1", NUMBERS[:1], "Mu\u0308nchen")
    found = reconcile([WantedGroup(None, "M\u00fcnchen", 2, {NUMBERS[1]})], [there], rules(10))
    assert [one.group_id for one in found.differences] == ["g-1"]
    assert len(found.warnings) == 1


def test_of_names_that_look_the_same_the_one_that_is_written_so() -> None:
    """Where the vendor has both, the file can tell them apart; what is written like none is a problem."""
    listed = [group("g-1", NUMBERS[:1], "vip"), group("g-2", NUMBERS[1:2], "vip\u200b")]
    exact = [WantedGroup(None, "vip\u200b", 2, {NUMBERS[1]}), WantedGroup(None, "vip", 3, {NUMBERS[0]})]
    found = reconcile(exact, listed, rules(10))
    assert (found.differences, found.unchanged, found.warnings) == ([], 2, [])
    found = reconcile([WantedGroup(None, "vip\u200d", 2, {NUMBERS[1]})], listed, rules(10))
    assert found.problems == ["line 2: 2 groups have this name (g-1, g-2): give a groupId"]


def test_new_names_that_look_the_same() -> None:
    """They are one new group, with all numbers of both."""
    wanted = [WantedGroup(None, "new", 2, {NUMBERS[0]}), WantedGroup(None, "n\u200bew", 3, {NUMBERS[1]})]
    found = reconcile(wanted, [], rules(10))
    assert [(one.name, one.number_count) for one in found.differences] == [("new", 2)]
    assert len(found.warnings) == 1


def test_names_that_look_different_are_others() -> None:
    """What people can tell apart is never put together: case, spaces, letters of other scripts."""
    listed = [group(f"g-{n}", NUMBERS[:1], name) for n, name in enumerate(["VIP", "v ip", "v\u0456p"])]
    found = reconcile([WantedGroup(None, "vip", 2, {NUMBERS[0]})], listed, rules(10))
    assert [(one.group_id, one.name) for one in found.differences] == [(None, "vip")]
    assert (found.warnings, found.others) == ([], 3)
