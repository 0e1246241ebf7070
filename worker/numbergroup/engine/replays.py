"""Replays: dead letters that operators retry, and their position among later commands.

A replayed command acts as if it stood at its original position: decisions of later commands for its group
stay as they are. Positions are compared by an *order*: a number that the ledger assigns to everything that
settles while the group has dead letters.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from numbergroup_contracts.dead_letters import PastFailure, Via

REPLAY_TAG_PREFIX: Final = "side/"
"""The prefix of a replayed message's tag. The rest is its id in the partition's replay stream."""

LATEST: Final = 2**53
"""The order of a command that is not replayed: it comes after every dead letter."""


_NO_VIA: Final = Via()


@dataclass(slots=True, frozen=True)
class Replay:
    """A dead letter that is being replayed; see `contracts.dead_letters.Replay`.

    - `letter`: the id of the dead letter.
    - `replays`: how often it was replayed, including this time.
    - `order`: its position; without one, or with `force`, it comes after all other commands.
    - `group`: the group's field in the ledger.
    - `first_time`: when it first failed, in Unix seconds.
    - `original`: the bytes as they first arrived, if an operator edited them.
    """

    letter: str
    replays: int
    order: int | None = None
    group: str | None = None
    first_time: float | None = None
    attempts: int = 0
    history: tuple[PastFailure, ...] = ()
    force: bool = False
    via: Via = _NO_VIA
    original: bytes | None = None


@dataclass(slots=True)
class RetryHistory:
    """The failed attempts and the replay of a command. Other commands have no history."""

    replay: Replay | None = None
    attempts: int = 0
    first_failed_at: float | None = None

    def record_failure(self, now: float) -> None:
        """Count a failed call that carried the command."""
        self.attempts += 1
        if self.first_failed_at is None:
            self.first_failed_at = now


def effective_order(history: RetryHistory | None) -> int:
    """Return the place of a command among those of its group, for a merge.

    A replay keeps the order of its first arrival, and so yields to later commands. Any other command, and a
    forced replay, has `LATEST`. `history`: the command's failed calls and replays.
    """
    replay = None if history is None else history.replay
    if replay is None or replay.force or replay.order is None:
        return LATEST
    return replay.order


def replays_of(history: RetryHistory | None) -> int:
    """Return how often the command was replayed, including this time."""
    return 0 if history is None or history.replay is None else history.replay.replays


@dataclass(slots=True)
class LaterWrites:
    """What was decided for a group after its dead letters, for replays of these.

    `numbers`: by number (or text), whether it is in the group, and the order of the deciding command.
    `everything`: the order of the last command that decided all numbers; -1 if there is none.
    """

    everything: int = -1
    numbers: dict[str, tuple[bool, int]] = field(default_factory=dict)

    def add(self, everything: int, numbers: Iterable[tuple[str, bool, int]]) -> None:
        """Add what later commands decided; the calls may come in any sequence.

        `everything`: the order of the last command that decided all numbers, -1 if there is none. `numbers`:
        each number, whether it is in the group, and the order of the command that decided it. For each number
        the decision with the highest order counts.
        """
        self.everything = max(self.everything, everything)
        for number, present, order in numbers:
            if order >= self.numbers.get(number, (False, -1))[1]:
                self.numbers[number] = (present, order)

    def add_all(self, other: "LaterWrites | None") -> None:
        """Add all decisions of `other`."""
        if other is not None:
            numbers = ((number, present, order) for number, (present, order) in other.numbers.items())
            self.add(other.everything, numbers)

    def forget_latest(self, looked_up: Collection[str] | None) -> None:
        """Drop decisions of order `LATEST`, since newer dead letters come after them.

        Their real order is in the ledger. `looked_up`: the numbers that were read from it since; `None`: all.
        """
        self.everything = -1 if self.everything == LATEST else self.everything
        for number in [*self.numbers] if looked_up is None else looked_up:
            if number in self.numbers and self.numbers[number][1] == LATEST:
                del self.numbers[number]

    def presence_after(self, number: str, order: int) -> bool | None:
        """Return whether a command after `order` put the number into the group; `None` if none decided it."""
        present, decided_at = self.numbers.get(number, (False, -1))
        return present if decided_at > order else None
