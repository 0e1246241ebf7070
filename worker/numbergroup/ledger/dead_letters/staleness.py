"""Computes how stale a dead letter is: what a replay would leave out now, to show it to operators.

The rule is the engine's. The worker applies it again when it processes the replay: more may be decided by
then.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.merging.merge import ReplayedCommand
from numbergroup.engine.replays import LaterWrites
from numbergroup.ledger.keys import ALL_NUMBERS

_MAX_DIGITS = 19


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
    """Return what is left out when `command` is replayed at its position `order`.

    `since` has the later decisions: by number, `+` or `-` and the order of the last decision; under
    `ALL_NUMBERS` the order of the last command that decided all numbers. Unreadable values are ignored.
    """
    if command.kind is CommandKind.LIST:
        return Staleness()
    later_writes = _decode_later_writes(since)
    replayed = ReplayedCommand(order, later_writes)
    kept = {*replayed.remaining_numbers(command.numbers)}
    superseded = replayed.is_outdated(command, [*kept])
    match command.kind:
        case CommandKind.RENAME:
            if later_writes.everything > order:
                return Staleness(superseded=True)
            texts = replayed.remaining_texts(command)
            return Staleness(tuple(text for text in command.text_fields if text not in texts), superseded)
        case CommandKind.REPLACE:
            kept.update(replayed.numbers_added_later())
        case CommandKind.CREATE:
            kept.update(command.numbers)
    left_out = [number for number in command.numbers if superseded or number not in kept]
    return Staleness(command.as_received(left_out), superseded)


def numbers_added_since(order: int, since: Mapping[str, str]) -> list[str]:
    """Return the numbers that were added later: the replay of a replace keeps them in the group."""
    return ReplayedCommand(order, _decode_later_writes(since)).numbers_added_later()


def _decode_later_writes(since: Mapping[str, str]) -> LaterWrites:
    decisions = (
        (number, text[:1] == "+", _decode_order(text[1:]))
        for number, text in since.items()
        if text[:1] in ("+", "-")
    )
    later_writes = LaterWrites()
    later_writes.add(_decode_order(since.get(ALL_NUMBERS)), decisions)
    return later_writes


def _decode_order(text: str | None) -> int:
    return int(text) if text and len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit() else -1
