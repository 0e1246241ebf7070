"""Merges the waiting commands of one group into one `Change`, and records which command decides each number.

Rules (DESIGN.md, "Merging"):

- The last command that names a number wins. `add` then `delete` is `delete`, not nothing: the number may
  already be in the group. Likewise, `delete` then `add` is `add`.
- `replace`, or the creation of a group, discards all earlier decisions. It is the *base*: it decides every
  number that no later command names.
- `delete group` ends a batch and supersedes all commands before it. The next batch starts anew.
- A rename decides the group's name, its remark, or both. For each of the two, the last rename wins.
- A replayed command acts at its original position, before the commands that followed it. Numbers that later
  commands decided are left out. If none of its numbers remains, the command is outdated.
- A command that cannot apply at its position is refused alone, and ignored by the merge. Examples: its group
  does not exist, or it creates a group that exists.
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
    TEXT_FIELDS,
    Command,
    build_tuple,
)
from numbergroup.engine.replays import LATEST, LaterWrites, effective_order
from numbergroup.engine.verdicts import Fault


class Op(enum.IntEnum):
    """What the winning command does with a number."""

    ADD = 0
    DELETE = 1


_ADD, _DELETE = Op


class Winner(NamedTuple):
    """The winning operation on a number, and the position of its command in the merged sequence."""

    op: Op
    position: int


@dataclass(slots=True)
class Change:
    """The net effect of merged commands. Positions are indexes into the merged sequence.

    - `winners`: by number, the operation to carry out.
    - `base`: the position of the last replace or create. Without one, numbers that are not in `winners` stay
      unchanged.
    - `create`, `delete`: the position of the command that creates or deletes the group.
    - `texts`: by `NAME` or `REMARK`, the position of the last rename that sets it.
    - `refused`: positions of commands that cannot apply, and why.
    - `outdated`: positions of replayed commands that later commands override completely.
    """

    winners: dict[str, Winner] = field(default_factory=dict)
    base: int | None = None
    create: int | None = None
    delete: int | None = None
    texts: dict[str, int] = field(default_factory=dict)
    refused: dict[int, Fault] = field(default_factory=dict)
    outdated: set[int] = field(default_factory=set)

    def numbers_to_add(self) -> list[str]:
        """Return the numbers that the change adds by name."""
        return [number for number, winner in self.winners.items() if winner.op is Op.ADD]

    def numbers_to_delete(self) -> list[str]:
        """Return the numbers that the change deletes by name."""
        return [number for number, winner in self.winners.items() if winner.op is Op.DELETE]


_UNKNOWN_GROUP = Fault("unknown-group", None, "no group has this groupKey: create it first")
_KEY_TAKEN = Fault("conflict", None, "a group with this groupKey exists already")


def batch_length(commands: Sequence[Command]) -> int:
    """Return how many of the waiting commands one batch may merge: all, up to the first `delete group`."""
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
    later_writes: LaterWrites | None = None,
) -> Change:
    """Merge `commands` in order, without those at the positions in `skip`.

    `exists`: whether the group exists before the first command. `created_by`: the command of this sequence
    that already created the group, in an earlier attempt of an unsettled batch. It does not count as a second
    creation. `later_writes`: set if there are replayed commands: what was decided for the group after them.
    """
    change = Change()
    winners = change.winners
    group_exists = exists
    for position, command in enumerate(commands):
        if position in skip:
            continue
        kind, numbers = command.kind, command.numbers
        replayed: ReplayedCommand | None = None
        if (
            later_writes is not None
            and command is not created_by
            and (order := effective_order(command.retry_history)) < LATEST
        ):
            replayed = ReplayedCommand(order, later_writes, commands, change)
            numbers = replayed.remaining_numbers(numbers)
            if replayed.is_outdated(command, numbers):
                change.outdated.add(position)
                continue
        if kind is CREATE:
            if command is created_by:
                group_exists = True
            elif group_exists:
                change.refused[position] = _KEY_TAKEN
                continue
            else:
                change.create = position
                group_exists = True
            winners.clear()
            winners.update(dict.fromkeys(command.numbers, Winner(_ADD, position)))
            change.base = position
            change.texts.clear()
        elif not group_exists:
            change.refused[position] = _UNKNOWN_GROUP
        elif kind is ADD or kind is DELETE:
            winner = build_tuple(Winner, (_DELETE if kind is DELETE else _ADD, position))
            for number in numbers:
                winners[number] = winner
        elif kind is REPLACE:
            later_winners = replayed.later_winners() if replayed else {}
            winners.clear()
            winners.update(dict.fromkeys(numbers, Winner(_ADD, position)))
            if replayed:
                winners.update(dict.fromkeys(replayed.numbers_added_later(), Winner(_ADD, position)))
            winners.update(later_winners)
            change.base = position
        elif kind is RENAME:
            text_fields = replayed.remaining_texts(command) if replayed else command.text_fields
            change.texts.update(dict.fromkeys(text_fields, position))
        elif kind is DELETE_GROUP:
            change.delete = position
            group_exists = False
    return change


@dataclass(slots=True, frozen=True)
class ReplayedCommand:
    """Compares a replayed command, which stands at `order`, with the commands that came after it.

    These are in the ledger's `later_writes`, and among the `commands` that were merged before it into
    `change`. To forecast a replay, only the `later_writes` are given.
    """

    order: int
    later_writes: LaterWrites
    commands: Sequence[Command] = ()
    change: Change = field(default_factory=Change)

    def is_outdated(self, command: Command, remaining: Sequence[str]) -> bool:
        """Return whether later commands override the command completely.

        `remaining`: those of its numbers that no later command decided.
        """
        base = self.change.base
        if command.kind is RENAME:
            # A later replace does not touch the name. But the ledger cannot tell a replace from the creation
            # of the group, and a replay must never undo newer writes.
            created = base is not None and self.commands[base].kind is CREATE and self._is_later(base)
            return created or self.later_writes.everything > self.order or not self.remaining_texts(command)
        if self.later_writes.everything > self.order or (base is not None and self._is_later(base)):
            return True
        if command.kind is DELETE_GROUP:
            # The deletion would undo later writes.
            written_later = any(order > self.order for _, order in self.later_writes.numbers.values())
            renamed_later = any(map(self._is_later, self.change.texts.values()))
            return written_later or bool(self.later_winners()) or renamed_later
        return command.kind in (ADD, DELETE) and not remaining

    def remaining_numbers(self, numbers: Sequence[str]) -> tuple[str, ...]:
        """Return the numbers that no later command decided."""
        winners, later_writes = self.change.winners, self.later_writes
        return tuple(
            number
            for number in numbers
            if later_writes.presence_after(number, self.order) is None
            and not (number in winners and self._is_later(winners[number].position))
        )

    def remaining_texts(self, command: Command) -> list[str]:
        """Return the texts of the rename that no later command set."""
        texts, later_writes = self.change.texts, self.later_writes
        return [
            text_field
            for text_field in command.text_fields
            if later_writes.presence_after(text_field, self.order) is None
            and not (text_field in texts and self._is_later(texts[text_field]))
        ]

    def later_winners(self) -> dict[str, Winner]:
        """Return the winners of the merge so far whose commands come after this one."""
        return {
            number: winner
            for number, winner in self.change.winners.items()
            if self._is_later(winner.position)
        }

    def numbers_added_later(self) -> list[str]:
        """Return the numbers that settled later commands added to the group."""
        numbers = (number for number in self.later_writes.numbers if number not in TEXT_FIELDS)
        return [number for number in numbers if self.later_writes.presence_after(number, self.order)]

    def _is_later(self, position: int) -> bool:
        return effective_order(self.commands[position].retry_history) > self.order
