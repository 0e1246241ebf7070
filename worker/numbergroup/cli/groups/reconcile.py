"""From the groups that are there to those that are wanted, by the fewest calls. Pure.

What may be done with one group, `size` numbers a call:

- an edit: delete what is too much, add what is missing. It touches the difference and nothing else.
- a replace by all that is wanted: fewer calls where little of the group stays.
- to empty it: a replace by one of its members, and the deletion of that one.

There is no shorter way: without a replace every number of the difference has to be named, and after the last
replace, that one included, every number that is wanted. At the same number of calls it is the edit: a replace
also undoes what others have changed since the groups were listed, and in several calls it takes members out
for a moment that are to stay.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from numbergroup.cli.groups.cells import readings, unescaped
from numbergroup.engine.commands import CommandKind, Group
from numbergroup.text.comparing import visible_name
from numbergroup.text.escaping import escaped

_ALIKE = (
    "the groupName differs only in Unicode normalisation, invisible characters or white space at its ends "
    "from that"
)


@dataclass(slots=True)
class Wanted:
    """A group as it should be, by its `group_id` if it has one here, else by its `name`; `line` is the first
    that is about it. `in_cells`: both are as cells of CSV have them, escaped for spreadsheets or not."""

    group_id: str | None
    name: str
    line: int
    numbers: set[str] = field(default_factory=set)
    in_cells: bool = False

    def ids_among(self, there: Collection[str]) -> list[str]:
        """Those groupIds that may be meant: written the same, else without white space at the ends."""
        text = self.group_id or ""
        exact = [one for one in self._readings(text) if one in there]
        return exact or [one for one in self._readings(text.strip()) if one in there]

    @property
    def names(self) -> Sequence[str]:
        """The groupNames that may be meant, white space at their ends included."""
        return self._readings(self.name)

    @property
    def new_name(self) -> str:
        """What the group is called if it has to be made."""
        return unescaped(self.name.strip()) if self.in_cells else self.name

    def _readings(self, text: str) -> Sequence[str]:
        return readings(text) if self.in_cells else (text,)


@dataclass(slots=True, frozen=True)
class Rules:
    """What the vendor `can` do, with how many numbers (`size`) a call; `speakable`: whether a command can
    name the number. `delete_others`: groups that nobody wants are to go."""

    can: Collection[CommandKind]
    size: int
    speakable: Callable[[str], object]
    delete_others: bool = False
    may_replace: bool = True


@dataclass(slots=True, frozen=True)
class Step:
    """One thing to do with a group. The numbers are in order."""

    kind: CommandKind
    numbers: tuple[str, ...] = ()

    def calls(self, size: int) -> int:
        return -(-len(self.numbers) // size) if self.numbers else 1


@dataclass(slots=True, frozen=True)
class Difference:
    """One group that is not as it should be, and what is to be done, in order. Without `group_id` it is to be
    made, under this `name`; `empties`: nothing is left in it."""

    group_id: str | None
    name: str
    steps: Sequence[Step]
    empties: bool = False

    def calls(self, size: int) -> int:
        return sum(step.calls(size) for step in self.steps)

    @property
    def numbers(self) -> int:
        return sum(len(step.numbers) for step in self.steps)


@dataclass(slots=True)
class Reconciliation:
    """`same`: groups that are as they should be. `others`: those that nobody wants, and that are left alone.
    `unspeakable`: listed numbers that no command can name, and that are left alone. `warnings`: groups that
    were taken for the same although their names are written differently. `problems`: why there is no way;
    then the rest is not to be used."""

    differences: list[Difference] = field(default_factory=list)
    same: int = 0
    others: int = 0
    unspeakable: int = 0
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def reconcile(wanted: Iterable[Wanted], listed: Sequence[Group], rules: Rules) -> Reconciliation:
    """What makes the `listed` groups the `wanted` ones; those that are wanted first, in their order.

    Names that differ only in Unicode normalisation, invisible characters or white space at their ends are one
    name, where none is written the same. A name that no group has makes a new one. An id that no group has,
    and a name that several have, are problems.
    """
    done = Reconciliation()
    found, new = _find(wanted, listed, done)
    groups = {group.group_id: group for group in listed}
    for group_id, target in found.items():
        group = groups[group_id]
        members = {number for number in group.numbers if rules.speakable(number)}
        strange = len(set(group.numbers)) - len(members)
        done.unspeakable += strange
        if members == target.numbers:
            done.same += 1
            continue
        ways = [way for way in _ways(members, target.numbers) if _is_open(way, rules, strange)]
        if not ways:
            done.problems.append(f"line {target.line}: the vendor cannot change the group in this way")
            continue
        shortest = min(ways, key=lambda way: sum(step.calls(rules.size) for step in way))
        done.differences.append(Difference(group_id, group.name, shortest, not target.numbers))
    for target in new:
        _create(target, rules, done)
    others = [group for group in listed if group.group_id not in found]
    if rules.delete_others:
        gone = (Step(CommandKind.DELETE_GROUP),)
        done.differences += [Difference(group.group_id, group.name, gone) for group in others]
    else:
        done.others = len(others)
    return done


def _find(
    wanted: Iterable[Wanted], listed: Sequence[Group], done: Reconciliation
) -> tuple[dict[str, Wanted], list[Wanted]]:
    """What is wanted of the groups that are there, by their ids, and those that are not."""
    ids = {group.group_id for group in listed}
    names = _Names(listed)
    found: dict[str, Wanted] = {}
    new: dict[str, Wanted] = {}
    for target in wanted:
        matches = names.matches(target, done) if target.group_id is None else target.ids_among(ids)
        if len(matches) > 1:
            shown = ", ".join(matches[:3]) + (", …" if len(matches) > 3 else "")
            what, hint = ("name", "give a groupId") if target.group_id is None else ("groupId", "use NDJSON")
            done.problems.append(
                f"line {target.line}: {len(matches)} groups have this {what} ({escaped(shown)}): {hint}"
            )
        elif matches:
            known = found.setdefault(matches[0], target)
            known.numbers |= target.numbers
        elif target.group_id is None:
            known = new.setdefault(visible_name(target.new_name) or target.new_name, target)
            known.numbers |= target.numbers
            if known is not target:
                done.warnings.append(f"line {target.line}: {_ALIKE} on line {known.line}: one group")
        else:
            done.problems.append(
                f"line {target.line}: no group has this groupId; to make a new one give its groupName only"
            )
    return found, list(new.values())


class _Names:
    """The listed groups by their names, as they are written and as people see them."""

    def __init__(self, listed: Iterable[Group]) -> None:
        self._written: dict[str, list[str]] = {}
        self._visible: dict[str, list[str]] = {}
        for group in listed:
            self._written.setdefault(group.name, []).append(group.group_id)
            if visible := visible_name(group.name):
                self._visible.setdefault(visible, []).append(group.group_id)

    def matches(self, target: Wanted, done: Reconciliation) -> list[str]:
        """The ids of the groups of this name: of those that are written the same, else of those that look the
        same, with a warning."""
        if exact := _all_of(self._written, target.names):
            return exact
        alike = _all_of(self._visible, map(visible_name, target.names))
        if len(alike) == 1:
            done.warnings.append(f"line {target.line}: {_ALIKE} of group {escaped(alike[0])}: taken for it")
        return alike


def _all_of(groups: Mapping[str, Sequence[str]], names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(group_id for name in names for group_id in groups.get(name, ())))


def _ways(members: set[str], wanted: set[str]) -> Iterator[Sequence[Step]]:
    """All that may be the shortest, the edit first."""
    steps = (
        Step(CommandKind.DELETE, _sorted(members - wanted)),
        Step(CommandKind.ADD, _sorted(wanted - members)),
    )
    yield [step for step in steps if step.numbers]
    if wanted:
        yield (Step(CommandKind.REPLACE, _sorted(wanted)),)
    else:
        # The vendor requires numbers of a replace.
        last = (min(members),)
        yield Step(CommandKind.REPLACE, last), Step(CommandKind.DELETE, last)


def _is_open(way: Sequence[Step], rules: Rules, strange: int) -> bool:
    kinds = {step.kind for step in way}
    if CommandKind.REPLACE in kinds and (strange or not rules.may_replace):
        return False
    return kinds <= set(rules.can)


def _create(target: Wanted, rules: Rules, done: Reconciliation) -> None:
    if CommandKind.CREATE not in rules.can:
        done.problems.append(f"line {target.line}: no group has this name, and the vendor can create none")
    elif not target.numbers:
        done.problems.append(
            f"line {target.line}: no group has this name, and none can be made without a number"
        )
    else:
        steps = (Step(CommandKind.CREATE, _sorted(target.numbers)),)
        done.differences.append(Difference(None, target.new_name, steps))


def _sorted(numbers: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(numbers))
