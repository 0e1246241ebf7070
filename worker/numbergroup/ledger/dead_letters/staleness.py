"""How stale a letter is: what later commands of its group have decided since. For showing.

The worker decides again, by the same rules, when it takes a replay in: by then more may have been decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from numbergroup.engine.commands import TEXTS, Command, CommandKind

_MOST_DIGITS = 19

EVERYTHING = "*"
"""The field of a command that decided every number of the group: a replace, a create, a deletion."""


@dataclass(slots=True, frozen=True)
class Staleness:
    """`left_out`: the command's numbers, as its producer wrote them, that others have decided; of a rename,
    its texts. `superseded`: nothing of it is left."""

    left_out: tuple[str, ...] = ()
    superseded: bool = False

    def __bool__(self) -> bool:
        return self.superseded or bool(self.left_out)


def staleness(command: Command, order: int, since: Mapping[str, str]) -> Staleness:
    """What is left out when `command` acts as if it stood at `order`, before what `since` has.

    `since` has, by number, `+` or `-` and the order of the last word on it, and under `EVERYTHING` the order
    of the last command that decided everything. What cannot be read there decides nothing.
    """
    kind = command.kind
    if _order(since.get(EVERYTHING)) > order and kind is not CommandKind.LIST:
        return Staleness(command.as_written(command.numbers), superseded=True)
    match kind:
        case CommandKind.RENAME:
            texts = tuple(name for name in command.names if _word(since, name)[1] > order)
            return Staleness(texts, len(texts) == len(command.names))
        case CommandKind.ADD | CommandKind.DELETE:
            left_out = [n for n in command.numbers if _word(since, n)[1] > order]
            return Staleness(command.as_written(left_out), len(left_out) == len(command.numbers))
        case CommandKind.REPLACE:
            deleted = [n for n in command.numbers if _word(since, n)[0] == "-" and _word(since, n)[1] > order]
            return Staleness(command.as_written(deleted))
        case CommandKind.DELETE_GROUP:
            # It would take with it whatever was decided since.
            return Staleness(superseded=any(_word(since, number)[1] > order for number in since))
        case CommandKind.CREATE | CommandKind.LIST:
            return Staleness()
        case _:
            assert_never(kind)


def added_since(order: int, since: Mapping[str, str]) -> list[str]:
    """The numbers that a replay of a replace leaves in the group, whatever it says itself."""
    numbers = (number for number in since if number not in TEXTS)
    return [
        number for number in numbers if _word(since, number)[0] == "+" and _word(since, number)[1] > order
    ]


def _word(since: Mapping[str, str], number: str) -> tuple[str, int]:
    said = since.get(number, "")
    return said[:1], _order(said[1:]) if said[:1] in ("+", "-") else -1


def _order(text: str | None) -> int:
    return int(text) if text and len(text) <= _MOST_DIGITS and text.isascii() and text.isdigit() else -1
