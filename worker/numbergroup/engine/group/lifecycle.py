"""The states of a group, what belongs to each, and the legal transitions between them.

A batch is formed when its first call may be sent. Its commands stay at the head of the group's queue until
all calls of the batch are resolved; then they are settled together. Between two calls of a batch, the state
that the group waits in holds the batch.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from numbergroup.engine.calls import Call, Refused
from numbergroup.engine.commands import Command, CommandKey
from numbergroup.engine.merging.merge import Change
from numbergroup.engine.replays import RetryHistory
from numbergroup.errors import NumbergroupError


@dataclass(slots=True)
class Batch:
    """Commands that were taken from the queue together, and settle together."""

    commands: Sequence[Command]
    change: Change
    expired_positions: frozenset[int]
    """Positions (within `commands`) of the commands that expired before they were in any call."""
    calls: deque[Call] = field(default_factory=deque)
    """The calls that are not resolved yet. The first may be in flight."""
    calls_started: int = 0
    refusal: Refused | None = None
    """Why the vendor refused to delete the group; set while the group is looked up."""

    @property
    def create(self) -> Command | None:
        """The command that creates the group."""
        return None if self.change.create is None else self.commands[self.change.create]

    @property
    def expirable_keys(self) -> tuple[CommandKey, ...]:
        """The keys of the commands that can expire and have not."""
        expired = self.expired_positions
        return tuple(
            command.key
            for position, command in enumerate(self.commands)
            if command.expires_at is not None and position not in expired
        )

    def note_failure(self, now: float, numbers: AbstractSet[str] | None = None) -> None:
        """Record a failed call in the retry history of the commands, for their dead letters.

        With `numbers`: only for commands that contain at least one of these numbers.
        """
        for command in self.commands:
            if numbers is not None and numbers.isdisjoint(command.numbers):
                continue
            command.retry_history = command.retry_history or RetryHistory()
            command.retry_history.record_failure(now)

    def mark_attempted(self) -> None:
        """Mark the batch's commands as possibly carried out: from now on they cannot expire."""
        expired = self.expired_positions
        for position, command in enumerate(self.commands):
            command.attempted = position not in expired


@dataclass(slots=True, frozen=True)
class Idle:
    """The group waits for commands, or its partition starts no more calls.

    `quiet_at`: when its last call in doubt is over (Unix seconds, as all times here).
    """

    quiet_at: float = 0.0

    @property
    def batch(self) -> None:
        """An idle group has no batch."""


@dataclass(slots=True, frozen=True)
class Ready:
    """The group waits for a permit. `position`: its place in the account's queue."""

    position: int
    batch: Batch | None = None


@dataclass(slots=True, frozen=True)
class InFlight:
    """The first call of the batch was sent at `sent_at`, and is not answered."""

    batch: Batch
    call: Call
    sent_at: float


@dataclass(slots=True, frozen=True)
class Parked:
    """The group does nothing before `until`: it lingers, failed, or waits for a call in doubt."""

    until: float
    batch: Batch | None = None


@dataclass(slots=True, frozen=True)
class Paused:
    """An operator paused the group."""

    batch: Batch | None = None


State = Idle | Ready | InFlight | Parked | Paused
IDLE = Idle()

TRANSITIONS: Mapping[tuple[type[State], type[State]], str] = {
    (Idle, Ready): "a command arrives",
    (Idle, Parked): "a command arrives, and the worker lingers for more",
    (Idle, Idle): "its last call in doubt is over, or its partition is lost",
    (Ready, InFlight): "a permit is granted: the next call is sent",
    (Ready, Ready): "its batch needed no call, and more commands wait; or its place in the queue changes",
    (Ready, Parked): "a permit is granted, but the next call must wait",
    (Ready, Paused): "a permit is granted, but an operator paused the group",
    (Ready, Idle): "no command is left, or the partition starts no more calls",
    (InFlight, Ready): "the call is answered: the next call or the next batch follows",
    (InFlight, Parked): "the call failed, or its outcome must be waited for",
    (InFlight, Idle): "the call is answered and no command is left, or the partition starts no more calls",
    (Parked, Ready): "the wait is over, or ended by an operator or by the account's recovery",
    (Parked, Idle): "no command is left, or the partition starts no more calls",
    (Paused, Ready): "an operator resumed the group",
    (Paused, Idle): "no command is left, or the partition starts no more calls",
}
"""The legal transitions: from, to, and when. `docs/explanation/ordering.md` lists them."""


class IllegalTransition(NumbergroupError):
    """A group was to change to a state that cannot follow its present one: a fault of the engine."""


def check_transition(old: State, new: State) -> None:
    """Raise `IllegalTransition` if `new` cannot follow `old`."""
    if (type(old), type(new)) not in TRANSITIONS:
        raise IllegalTransition(f"a group cannot change from {type(old).__name__} to {type(new).__name__}")
