"""Replays: what operators let be tried again, and where it stands.

A command that is tried again acts as if it stood where it first stood: what later commands of its group have
decided since is left as they decided it. Who stands where is told by an *order*, a number that the ledger
gives to whatever settles while letters of the group are kept.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from numbergroup_contracts.dead_letters import PastFailure, Via

SIDE: Final = "side/"
"""How the tag of a message begins that operators replay: the rest is its id in the partition's side log."""

LATEST: Final = 2**53
"""The order of what was never a letter: every letter that there is stood before it."""


_NO_VIA: Final = Via()


@dataclass(slots=True, frozen=True)
class Replay:
    """What is known of a letter that is tried again; see `contracts.dead_letters.Replay`.

    `group` is the group's field in the ledger, `first_time` in Unix seconds. `original`: the bytes as they
    first arrived, of one that was edited. Without an `order` it stands where whatever came last stands.
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
    """What went before of a command that failed, or is tried again; others have none."""

    replay: Replay | None = None
    attempts: int = 0
    first_failed_at: float | None = None

    def fail(self, now: float) -> None:
        """Another call that carried the command has failed."""
        self.attempts += 1
        if self.first_failed_at is None:
            self.first_failed_at = now


def effective_order(past: RetryHistory | None) -> int:
    """The order by which it is judged what came later."""
    replay = None if past is None else past.replay
    if replay is None or replay.force or replay.order is None:
        return LATEST
    return replay.order


def replays_of(past: RetryHistory | None) -> int:
    """How often the command was tried again, this time included."""
    return 0 if past is None or past.replay is None else past.replay.replays


@dataclass(slots=True)
class LaterWrites:
    """What was decided of a group: by number, whether it is in it and the order of who said so;
    `everything`: the order of the last that decided all numbers. -1 is before all."""

    everything: int = -1
    numbers: dict[str, tuple[bool, int]] = field(default_factory=dict)

    def take(self, everything: int, numbers: Iterable[tuple[str, bool, int]]) -> None:
        """Take in what was decided: of each number the latest word counts, whenever it is heard."""
        self.everything = max(self.everything, everything)
        for number, present, order in numbers:
            if order >= self.numbers.get(number, (False, -1))[1]:
                self.numbers[number] = (present, order)

    def absorb(self, other: "LaterWrites | None") -> None:
        """Take in all that another has."""
        if other is not None:
            said = ((number, present, order) for number, (present, order) in other.numbers.items())
            self.take(other.everything, said)

    def forget_latest(self, asked: Collection[str] | None) -> None:
        """Forget who was only known to be later than all letters that there were then, of the numbers that
        were `asked` for since (`None`: of all). A letter that came later stands after them."""
        self.everything = -1 if self.everything == LATEST else self.everything
        for number in [*self.numbers] if asked is None else asked:
            if number in self.numbers and self.numbers[number][1] == LATEST:
                del self.numbers[number]

    def later(self, number: str, order: int) -> bool | None:
        """Whether who stands after `order` wants the number in the group; `None`: nobody said."""
        present, said = self.numbers.get(number, (False, -1))
        return present if said > order else None
