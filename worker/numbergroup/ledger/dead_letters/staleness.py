"""Computes how stale a letter is: what later commands of its group have decided, to show it to operators.

The worker applies the same rules again when it processes a replay: more may be decided by then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from numbergroup.engine.commands import TEXT_FIELDS, Command, CommandKind

_MAX_DIGITS = 19

EVERYTHING = "*"
"""The field for commands that decide all numbers of a group: a replace, a create or a deletion."""


@dataclass(slots=True, frozen=True)
class Staleness:
    """What a replay would leave out because of later commands.

    `left_out`: numbers, as the producer wrote them, that later commands decided; for a rename, its texts.
    `superseded`: nothing of the command is left.
    """

    left_out: tuple[str, ...] = ()
    superseded: bool = False

    def __bool__(self) -> bool:
        return self.superseded or bool(self.left_out)


def compute_staleness(command: Command, order: int, since: Mapping[str, str]) -> Staleness:
    """Return what is left out when `command` is replayed at its place `order`.

    `since` has the later decisions: by number, `+` or `-` and the order of the last decision; under
    `EVERYTHING` the order of the last command that decided all numbers. Unreadable values are ignored.
    """
    kind = command.kind
    if _order(since.get(EVERYTHING)) > order and kind is not CommandKind.LIST:
        return Staleness(command.as_received(command.numbers), superseded=True)
    match kind:
        case CommandKind.RENAME:
            texts = tuple(name for name in command.text_fields if _decision(since, name)[1] > order)
            return Staleness(texts, len(texts) == len(command.text_fields))
        case CommandKind.ADD | CommandKind.DELETE:
            left_out = [n for n in command.numbers if _decision(since, n)[1] > order]
            return Staleness(command.as_received(left_out), len(left_out) == len(command.numbers))
        case CommandKind.REPLACE:
            deleted = [
                n for n in command.numbers if _decision(since, n)[0] == "-" and _decision(since, n)[1] > order
            ]
            return Staleness(command.as_received(deleted))
        case CommandKind.DELETE_GROUP:
            # A deletion would also undo all later decisions.
            return Staleness(superseded=any(_decision(since, number)[1] > order for number in since))
        case CommandKind.CREATE | CommandKind.LIST:
            return Staleness()
        case _:
            assert_never(kind)


def numbers_added_since(order: int, since: Mapping[str, str]) -> list[str]:
    """Return the numbers that were added later: the replay of a replace keeps them in the group."""
    numbers = (number for number in since if number not in TEXT_FIELDS)
    return [
        number
        for number in numbers
        if _decision(since, number)[0] == "+" and _decision(since, number)[1] > order
    ]


def _decision(since: Mapping[str, str], number: str) -> tuple[str, int]:
    decision = since.get(number, "")
    return decision[:1], _order(decision[1:]) if decision[:1] in ("+", "-") else -1


def _order(text: str | None) -> int:
    return int(text) if text and len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit() else -1
