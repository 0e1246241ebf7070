"""Finds the fewest calls that turn the listed groups into the wanted ones. Pure: without I/O.

A group can be changed in three ways:

- An edit deletes the surplus numbers and adds the missing ones. It touches nothing else.
- A replace by all wanted numbers needs fewer calls when few of the members stay.
- To empty a group: a replace by one of its members, then the deletion of that one.

No way has fewer calls. Without a replace, every number of the difference must be in a call. Otherwise every
wanted number must be in the last replace or in a later call. With equal numbers of calls the edit is chosen:
a replace would also undo what others have changed since the listing, and a replace in several calls removes
members for a moment that should stay.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from numbergroup.cli.groups.cells import readings, unescaped
from numbergroup.engine.calls import Group
from numbergroup.engine.commands import CommandKind
from numbergroup.text.comparing import visible_name
from numbergroup.text.escaping import escaped

_ALIKE = (
    "the groupName differs only in Unicode normalisation, invisible characters or white space at its ends "
    "from that"
)


@dataclass(slots=True)
class WantedGroup:
    """A group as it should be, named by its `group_id`, or by its `name` if it has no `group_id`.

    `line` is its first line in the file. `in_cells`: both names are from CSV cells, which may be escaped.
    """

    group_id: str | None
    name: str
    line: int
    numbers: set[str] = field(default_factory=set)
    in_cells: bool = False

    def find_ids(self, ids: Collection[str]) -> list[str]:
        """Return those of the `ids` that `group_id` may mean: equal ones, or those equal when stripped."""
        text = self.group_id or ""
        equal = [reading for reading in self._readings(text) if reading in ids]
        return equal or [reading for reading in self._readings(text.strip()) if reading in ids]

    @property
    def names(self) -> Sequence[str]:
        """The groupNames that `name` may mean, not stripped."""
        return self._readings(self.name)

    @property
    def new_name(self) -> str:
        """The groupName with which the group would be created."""
        return unescaped(self.name.strip()) if self.in_cells else self.name

    def _readings(self, text: str) -> Sequence[str]:
        return readings(text) if self.in_cells else (text,)


@dataclass(slots=True, frozen=True)
class Rules:
    """What may be done.

    - `commands`: those that the vendor supports, with `numbers_per_call`.
    - `is_number`: whether a command may contain the number.
    - `delete_others`: whether groups that are not wanted are deleted.
    """

    commands: Collection[CommandKind]
    numbers_per_call: int
    is_number: Callable[[str], object]
    delete_others: bool = False
    may_replace: bool = True


@dataclass(slots=True, frozen=True)
class Step:
    """One command for a group. The numbers are sorted."""

    kind: CommandKind
    numbers: tuple[str, ...] = ()

    def count_calls(self, numbers_per_call: int) -> int:
        """Return the number of calls that it needs."""
        return -(-len(self.numbers) // numbers_per_call) if self.numbers else 1


@dataclass(slots=True, frozen=True)
class Difference:
    """A group that is not as it should be, and the steps to change it.

    Without a `group_id` it is created under its `name`. `empties`: the steps remove all its numbers.
    """

    group_id: str | None
    name: str
    steps: Sequence[Step]
    empties: bool = False

    def count_calls(self, numbers_per_call: int) -> int:
        """Return the number of calls that it needs."""
        return sum(step.count_calls(numbers_per_call) for step in self.steps)

    @property
    def number_count(self) -> int:
        return sum(len(step.numbers) for step in self.steps)


@dataclass(slots=True)
class Reconciliation:
    """The result of a comparison.

    - `unchanged`: the number of groups that are as they should be.
    - `others`: the number of groups that are not wanted, and are not changed.
    - `invalid_numbers`: the number of listed numbers that commands may not contain. They are not changed.
    - `warnings`: groups that were matched although their names are written differently.
    - `problems`: why it is not possible; then the rest must not be used.
    """

    differences: list[Difference] = field(default_factory=list)
    unchanged: int = 0
    others: int = 0
    invalid_numbers: int = 0
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def reconcile(wanted: Iterable[WantedGroup], listed: Sequence[Group], rules: Rules) -> Reconciliation:
    """Return what turns the `listed` groups into the `wanted` ones, in the order of the wanted ones.

    If no name is equal, names match that differ only in Unicode normalisation, invisible characters or white
    space at their ends. A name without a match creates a group. An unknown id, and a name of several groups,
    are problems.
    """
    result = Reconciliation()
    found, new = _match(wanted, listed, result)
    groups = {group.group_id: group for group in listed}
    for group_id, target in found.items():
        group = groups[group_id]
        members = {number for number in group.numbers if rules.is_number(number)}
        invalid = len(set(group.numbers)) - len(members)
        result.invalid_numbers += invalid
        if members == target.numbers:
            result.unchanged += 1
            continue
        ways = [
            way
            for way in _list_ways(members, target.numbers)
            if _is_allowed(way, rules, has_invalid=invalid > 0)
        ]
        if not ways:
            result.problems.append(f"line {target.line}: the vendor cannot change the group in this way")
            continue
        shortest = min(ways, key=lambda way: sum(step.count_calls(rules.numbers_per_call) for step in way))
        result.differences.append(Difference(group_id, group.name, shortest, not target.numbers))
    for target in new:
        _create(target, rules, result)
    others = [group for group in listed if group.group_id not in found]
    if rules.delete_others:
        deletion = (Step(CommandKind.DELETE_GROUP),)
        result.differences += [Difference(group.group_id, group.name, deletion) for group in others]
    else:
        result.others = len(others)
    return result


def _match(
    wanted: Iterable[WantedGroup], listed: Sequence[Group], result: Reconciliation
) -> tuple[dict[str, WantedGroup], list[WantedGroup]]:
    """Return the wanted groups that are listed, by their ids, and those that have to be created."""
    ids = {group.group_id for group in listed}
    names = _NameIndex(listed)
    found: dict[str, WantedGroup] = {}
    new: dict[str, WantedGroup] = {}
    for target in wanted:
        matches = names.find(target, result) if target.group_id is None else target.find_ids(ids)
        if len(matches) > 1:
            shown = ", ".join(matches[:3]) + (", …" if len(matches) > 3 else "")
            what, hint = ("name", "give a groupId") if target.group_id is None else ("groupId", "use NDJSON")
            result.problems.append(
                f"line {target.line}: {len(matches)} groups have this {what} ({escaped(shown)}): {hint}"
            )
        elif matches:
            first = found.setdefault(matches[0], target)
            first.numbers |= target.numbers
        elif target.group_id is None:
            first = new.setdefault(visible_name(target.new_name) or target.new_name, target)
            first.numbers |= target.numbers
            if first is not target:
                result.warnings.append(f"line {target.line}: {_ALIKE} on line {first.line}: one group")
        else:
            result.problems.append(
                f"line {target.line}: no group has this groupId; to create a group, give only its groupName"
            )
    return found, list(new.values())


class _NameIndex:
    """Finds listed groups by their names, as they are written and as people see them."""

    def __init__(self, listed: Iterable[Group]) -> None:
        self._written: dict[str, list[str]] = {}
        self._visible: dict[str, list[str]] = {}
        for group in listed:
            self._written.setdefault(group.name, []).append(group.group_id)
            if visible := visible_name(group.name):
                self._visible.setdefault(visible, []).append(group.group_id)

    def find(self, target: WantedGroup, result: Reconciliation) -> list[str]:
        """Return the ids of the groups with this name.

        If no name is written the same, these are the groups whose names look the same, with a warning.
        """
        if equal := _collect_ids(self._written, target.names):
            return equal
        alike = _collect_ids(self._visible, map(visible_name, target.names))
        if len(alike) == 1:
            result.warnings.append(f"line {target.line}: {_ALIKE} of group {escaped(alike[0])}: matched")
        return alike


def _collect_ids(groups: Mapping[str, Sequence[str]], names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(group_id for name in names for group_id in groups.get(name, ())))


def _list_ways(members: set[str], wanted: set[str]) -> Iterator[Sequence[Step]]:
    """Yield all ways that may need the fewest calls, the edit first."""
    steps = (
        Step(CommandKind.DELETE, _sorted(members - wanted)),
        Step(CommandKind.ADD, _sorted(wanted - members)),
    )
    yield [step for step in steps if step.numbers]
    if wanted:
        yield (Step(CommandKind.REPLACE, _sorted(wanted)),)
    else:
        # The vendor requires a number in a replace.
        last = (min(members),)
        yield Step(CommandKind.REPLACE, last), Step(CommandKind.DELETE, last)


def _is_allowed(way: Sequence[Step], rules: Rules, *, has_invalid: bool) -> bool:
    kinds = {step.kind for step in way}
    # A replace would remove the numbers that no command may contain.
    if CommandKind.REPLACE in kinds and (has_invalid or not rules.may_replace):
        return False
    return kinds <= set(rules.commands)


def _create(target: WantedGroup, rules: Rules, result: Reconciliation) -> None:
    if CommandKind.CREATE not in rules.commands:
        result.problems.append(
            f"line {target.line}: no group has this name, and the vendor cannot create groups"
        )
    elif not target.numbers:
        result.problems.append(
            f"line {target.line}: no group has this name, and a group cannot be created without a number"
        )
    else:
        steps = (Step(CommandKind.CREATE, _sorted(target.numbers)),)
        result.differences.append(Difference(None, target.new_name, steps))


def _sorted(numbers: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(numbers))
