"""Merging: waiting commands of one group become one `Change`, and who decided what is kept.

Rules (DESIGN.md, "Merging"):

- The last word on a number wins. `add` then `delete` is `delete`, never nothing: the number may be
  in the group already. Likewise `delete` then `add` is `add`.
- `replace` (and the creation of a group) clears the map: it is the *base*, and decides every number
  that nobody names afterwards.
- `delete group` ends a batch: what comes before it is superseded. What follows starts anew.
- A rename decides the group's name, its remark, or both; the last word on each wins, apart from the other.
- A command that is tried again stands where it first stood, before what was decided since: numbers that
  later commands have decided are left out; where nothing is left of it, it is outdated.
- A command that cannot apply where it stands (no such group, or one too many creations) is refused
  alone, and the fold goes on as if it had not been there.
"""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from numbergroup.engine.commands import (
    ADD,
    CREATE,
    DELETE,
    DELETE_GROUP,
    RENAME,
    REPLACE,
    TEXTS,
    Command,
    Fault,
    tuple_of,
)
from numbergroup.engine.replays import LATEST, LaterWrites, effective_order


class Op(enum.IntEnum):
    ADD = 0
    DELETE = 1


_PUT_IN, _TAKE_OUT = Op


class Winner(NamedTuple):
    """The last word on a number, and the position of the command that said it."""

    op: Op
    by: int


@dataclass(slots=True)
class Change:
    """What a batch amounts to. Positions are places in the sequence that was merged.

    `base` is the position of the last replace or create; `None` means that numbers nobody named
    stay as they are. `create` is the position of the command that makes the group, `delete` of the
    one that deletes it; `names` has, of the group's texts that a rename sets, the position of the last one
    that sets it; `refused` has those that cannot apply, `outdated` those of which nothing is left.
    """

    decided: dict[str, Winner] = field(default_factory=dict)
    base: int | None = None
    create: int | None = None
    delete: int | None = None
    names: dict[str, int] = field(default_factory=dict)
    refused: dict[int, Fault] = field(default_factory=dict)
    outdated: set[int] = field(default_factory=set)

    def wanted(self) -> list[str]:
        """Numbers that the change puts into the group."""
        return [number for number, decision in self.decided.items() if decision.op is Op.ADD]

    def unwanted(self) -> list[str]:
        """Numbers that the change takes out by name."""
        return [number for number, decision in self.decided.items() if decision.op is Op.DELETE]


_UNKNOWN_GROUP = Fault("unknown-group", None, "no group has this groupKey: create it first")
_KEY_TAKEN = Fault("conflict", None, "a group with this groupKey exists already")


def batch_length(commands: Sequence[Command]) -> int:
    """How many of the waiting commands may be merged into one batch: all, up to a deletion."""
    for position, command in enumerate(commands):
        if command.kind is DELETE_GROUP:
            return position + 1
    return len(commands)


def merge(
    commands: Sequence[Command],
    *,
    exists: bool,
    created_by: Command | None = None,
    skip: Collection[int] = (),
    since: LaterWrites | None = None,
) -> Change:
    """Fold `commands` in order, as if those at the positions in `skip` were not there.

    `exists` says whether the group is there before the first of them. `created_by` is the command
    of this very sequence that has made the group already, in an earlier try whose batch is not
    settled yet: it is no second creation. `since` is there when some are tried again: what was decided of the
    group after them.
    """
    change = Change()
    decided = change.decided
    present = exists
    for position, command in enumerate(commands):
        if position in skip:
            continue
        kind, numbers = command.kind, command.numbers
        again: _Again | None = None
        if (
            since is not None
            and command is not created_by
            and (order := effective_order(command.past)) < LATEST
        ):
            again = _Again(order, since, commands, change)
            numbers = again.left(numbers)
            if again.is_outdated(command, numbers):
                change.outdated.add(position)
                continue
        if kind is CREATE:
            if command is created_by:
                present = True
            elif present:
                change.refused[position] = _KEY_TAKEN
                continue
            else:
                change.create = position
                present = True
            decided.clear()
            decided.update(dict.fromkeys(command.numbers, Winner(_PUT_IN, position)))
            change.base = position
            change.names.clear()
        elif not present:
            change.refused[position] = _UNKNOWN_GROUP
        elif kind is ADD or kind is DELETE:
            said = tuple_of(Winner, (_TAKE_OUT if kind is DELETE else _PUT_IN, position))
            for number in numbers:
                decided[number] = said
        elif kind is REPLACE:
            kept = again.kept() if again else {}
            decided.clear()
            decided.update(dict.fromkeys(numbers, Winner(_PUT_IN, position)))
            if again:
                decided.update(dict.fromkeys(again.added(), Winner(_PUT_IN, position)))
            decided.update(kept)
            change.base = position
        elif kind is RENAME:
            change.names.update(
                dict.fromkeys(again.left_names(command) if again else command.names, position)
            )
        elif kind is DELETE_GROUP:
            change.delete = position
            present = False
    return change


@dataclass(slots=True, frozen=True)
class _Again:
    """A command that is tried again, among those that were merged before it: `order` is where it stands."""

    order: int
    since: LaterWrites
    commands: Sequence[Command]
    change: Change

    def is_outdated(self, command: Command, left: Sequence[str]) -> bool:
        """Whether nothing is left of it, when later commands have decided all numbers but these."""
        base = self.change.base
        if command.kind is RENAME:
            # A replacement of all numbers does not name the group; but in the ledger it cannot be told from
            # the group's creation, and nothing newer must be undone.
            created = base is not None and self.commands[base].kind is CREATE and self._is_later(base)
            return created or self.since.everything > self.order or not self.left_names(command)
        if self.since.everything > self.order or (base is not None and self._is_later(base)):
            return True
        if command.kind is DELETE_GROUP:
            # It would take with it what was decided since.
            said = any(order > self.order for _, order in self.since.numbers.values())
            return said or bool(self.kept()) or any(map(self._is_later, self.change.names.values()))
        return command.kind in (ADD, DELETE) and not left

    def left(self, numbers: Sequence[str]) -> tuple[str, ...]:
        """Those of which nobody said anything later."""
        decided, since = self.change.decided, self.since
        return tuple(
            number
            for number in numbers
            if since.later(number, self.order) is None
            and not (number in decided and self._is_later(decided[number].by))
        )

    def left_names(self, command: Command) -> list[str]:
        """Those of the texts it sets that no later command has set."""
        names, since = self.change.names, self.since
        return [
            name
            for name in command.names
            if since.later(name, self.order) is None and not (name in names and self._is_later(names[name]))
        ]

    def kept(self) -> dict[str, Winner]:
        """What was merged before it and stands after it."""
        return {
            number: decision
            for number, decision in self.change.decided.items()
            if self._is_later(decision.by)
        }

    def added(self) -> list[str]:
        """What was put into the group since."""
        numbers = (number for number in self.since.numbers if number not in TEXTS)
        return [number for number in numbers if self.since.later(number, self.order)]

    def _is_later(self, position: int) -> bool:
        return effective_order(self.commands[position].past) > self.order
