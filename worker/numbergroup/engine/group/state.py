"""What the engine knows of one group: its state, its pending commands, its calls in doubt."""

from collections import deque
from dataclasses import dataclass, field

from numbergroup.engine.calls import Call
from numbergroup.engine.commands import Command, GroupRef, HandleKind
from numbergroup.engine.doubt import Doubt, undoes
from numbergroup.engine.group.creation_state import CreationState
from numbergroup.engine.group.lifecycle import IDLE, Batch, State, check_transition
from numbergroup.engine.merging.vendor_view import VendorView
from numbergroup.engine.replays import LaterWrites, replays_of
from numbergroup.engine.verdicts import Fault

INHERITED = 0
"""A `last_recorded_call` made by an earlier owner. This engine's own calls have greater numbers."""


@dataclass(slots=True, eq=False)
class GroupState:
    """Everything the engine knows of one group while it has commands, or a call in doubt."""

    ref: GroupRef
    partition: int
    group_id: str | None = None
    pending: deque[Command] = field(default_factory=deque)
    state: State = IDLE
    """Changed by `move_to` only."""
    vendor_view: VendorView = field(default_factory=VendorView)
    doubts: list[Doubt] = field(default_factory=list)
    attempted_count: int = 0
    """Number of leading pending commands that were in a call already."""
    creation: CreationState = field(default_factory=CreationState)
    last_recorded_call: int | None = None
    """The last call recorded in the ledger for a successor; see `close_recorded_calls`."""
    failures: int = 0
    """Failures in a row."""
    first_failed_at: float = 0.0
    last_fault: Fault | None = None
    """The error of the last failure."""
    answers_at_fault: int | None = None
    """The account's `answer_count` when a call of this group last met a fault of the account."""
    stopped_account_at: float | None = None
    """When a call of this group last stopped its account; `None` after a normal answer."""
    lone_throttles: int = 0
    """How often only this group was throttled: calls that were sent in between were answered normally."""
    throttled_until: float = 0.0
    """End of the wait because of that."""
    bisect_size: int | None = None
    """While a refused batch is being halved: the largest size of the next batch."""
    bisect_call_reserved: bool = False
    """Whether its next call is already counted in the account's budget for halving."""
    replay_count: int = 0
    """How many of the pending commands are replays."""
    later_writes: LaterWrites | None = None
    """Decisions of later commands, which those replays must not undo."""

    def move_to(self, state: State) -> None:
        """Change to this state; `IllegalTransition` if it cannot follow the present one."""
        check_transition(self.state, state)
        self.state = state

    @property
    def oldest_arrival(self) -> int:
        """The arrival number of its oldest command: the group with the lowest number is served first."""
        return self.pending[0].arrival

    @property
    def exists(self) -> bool:
        """Whether the group exists before its first pending command is carried out."""
        if self.ref.kind is HandleKind.ID:
            return True
        return self.group_id is not None and self.creation.created_by is None

    def blocked_until(self, call: Call, now: float) -> float | None:
        """Return until when `call` must wait for a doubtful call that could undo it; `None`: no wait."""
        if not self.doubts:
            return None
        self.doubts = [doubt for doubt in self.doubts if doubt.until > now]
        return max((doubt.until for doubt in self.doubts if undoes(doubt.call, call)), default=None)

    def has_call_in_doubt(self, command: Command, now: float) -> bool:
        """Whether the command is a replay, and an earlier call with one of its numbers is still in doubt."""
        return command.retry_history is not None and any(
            doubt.until > now and not set(doubt.call.numbers).isdisjoint(command.numbers)
            for doubt in self.doubts
        )

    def close_recorded_calls(self, now: float) -> list[tuple[GroupRef, int]]:
        """Return the last recorded call, if no call is in doubt: a successor need not know of calls up to it.

        Each call is returned once.
        """
        if self.last_recorded_call is None or any(doubt.until > now for doubt in self.doubts):
            return []
        last, self.last_recorded_call = self.last_recorded_call, None
        return [(self.ref, last)]

    def remove_settled(self, batch: Batch) -> None:
        """Remove the commands of the settled batch.

        The view of the vendor is reset when no pending command was in a call yet.
        """
        for command in batch.commands:
            self.pending.popleft()
            if command is self.creation.created_by:
                self.creation.created_by = None
        if self.replay_count:
            self.replay_count -= sum(replays_of(command.retry_history) > 0 for command in batch.commands)
            self.later_writes = self.later_writes if self.replay_count else None
        self.attempted_count = max(0, self.attempted_count - len(batch.commands))
        self.failures = 0
        self.last_fault = None
        self.creation.forget_failures()
        if not self.attempted_count:
            self.vendor_view = VendorView()
            self.bisect_size = None
        elif self.bisect_size is not None:
            self.bisect_size *= 2
