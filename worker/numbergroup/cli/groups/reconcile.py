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

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from numbergroup.engine.commands import CommandKind, Group
from numbergroup.text.comparing import visible_name
from numbergroup.text.escaping import escaped

_ALIKE = "the groupName differs only in Unicode normalisation or invisible characters from that"


@dataclass(slots=True)
class Wanted:
    """A group as it should be, by its `group_id` if it has one here, else by its `name`; `line` is the first
    that is about it."""

    group_id: str | None
    name: str
    line: int
    numbers: set[str] = field(default_factory=set)


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

    Names that differ only in Unicode normalisation or invisible characters are one name, where none is
    written the same. A name that no group has makes a new one. An id that no group has, and a name that
    several have, are problems.
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
        if target.group_id is None:
            matches = names.matches(target, done)
        else:
            matches = [target.group_id] if target.group_id in ids else []
        if len(matches) > 1:
            shown = ", ".join(matches[:3]) + (", …" if len(matches) > 3 else "")
            done.problems.append(
                f"line {target.line}: {len(matches)} groups have this name ({escaped(shown)}): give a groupId"
            )
        elif matches:
            known = found.setdefault(matches[0], target)
            known.numbers |= target.numbers
        elif target.group_id is None:
            known = new.setdefault(visible_name(target.name) or target.name, target)
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
        if exact := self._written.get(target.name):
            return exact
        alike = self._visible.get(visible_name(target.name), [])
        if len(alike) == 1:
            done.warnings.append(f"line {target.line}: {_ALIKE} of group {escaped(alike[0])}: taken for it")
        return alike


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
        done.differences.append(Difference(None, target.name, steps))


def _sorted(numbers: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(numbers))
