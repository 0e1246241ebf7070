"""The state of one group: its pending commands in arrival order, its batch and its phase.

    idle ──► ready ──► in flight ──► ready (the next call, or commands that arrived meanwhile) ──► …
               ▲           │
               ├── parked ◄┘   (after a failure, for a call in doubt, or to linger)
               └── paused      (by an operator)

A batch is formed when its first call may be sent. Its commands stay at the head of `pending` until all calls
of the batch are resolved; then they are settled together.
"""

import enum
from collections import deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from numbergroup.engine.commands import (
    Call,
    Command,
    CommandKey,
    CommandKind,
    CreateIntent,
    Fault,
    GroupRef,
    HandleKind,
    Refused,
)
from numbergroup.engine.doubt import Doubt, undoes
from numbergroup.engine.events import Facts
from numbergroup.engine.group.creation import intent_of_command, is_recorded_for
from numbergroup.engine.merging.merge import Change
from numbergroup.engine.merging.vendor_view import VendorView
from numbergroup.engine.replays import LaterWrites, RetryHistory, replays_of

INHERITED = 0
"""A `last_recorded_call` made by an earlier owner. This engine's own calls have greater numbers."""


class Phase(enum.Enum):
    """What a group waits for."""

    IDLE = enum.auto()
    READY = enum.auto()
    IN_FLIGHT = enum.auto()
    PARKED = enum.auto()
    PAUSED = enum.auto()
    """An operator has paused the group."""


@dataclass(slots=True)
class Batch:
    """Commands that were taken from the queue together, and settle together."""

    commands: Sequence[Command]
    change: Change
    expired_positions: frozenset[int]
    """Positions (within `commands`) of the commands that expired before they were in any call."""
    calls: deque[Call] = field(default_factory=deque)
    is_started: bool = False
    calls_started: int = 0
    refusal: Refused | None = None
    """Why the vendor refused to delete the group; set while the group is looked up."""

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


@dataclass(slots=True, eq=False)
class GroupState:
    """Everything the engine knows of one group while it has commands, or a call in doubt."""

    ref: GroupRef
    partition: int
    group_id: str | None = None
    pending: deque[Command] = field(default_factory=deque)
    batch: Batch | None = None
    phase: Phase = Phase.IDLE
    wake_at: float = 0.0
    vendor_view: VendorView = field(default_factory=VendorView)
    doubts: list[Doubt] = field(default_factory=list)
    attempted_count: int = 0
    """Number of leading pending commands that were in a call already."""
    sent_at: float = 0.0
    """When its last call started (Unix seconds, as all times here)."""
    intent: CreateIntent | None = None
    intent_recorded: bool = False
    """Whether the ledger has an intent of this group that a settlement must still close."""
    intent_is_guess: bool = False
    """Whether the intent was made up for a create that an earlier owner may have sent."""
    suspected_creates: dict[CommandKey, float] = field(default_factory=dict)
    """Creates that an earlier owner may have sent, with the time until which each may take effect."""
    last_recorded_call: int | None = None
    """The last call recorded in the ledger for a successor; see `close_recorded_calls`."""
    created_by: Command | None = None
    create_request_id: str | None = None
    created_group: CreateIntent | None = None
    """The intent to record in the ledger in place of the one of the create that was answered."""
    create_failed: bool = False
    """Whether its create failed before, with an answer that leaves open whether the group was created."""
    create_refusals: int = 0
    """How often its create was refused while it was in doubt: the group may exist all the same."""
    create_refusal: Refused | None = None
    """The last of those refusals."""
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
    queue_position: int = 0
    """Its position in the account's queue, while it is ready."""
    bisect_size: int | None = None
    """While a refused batch is being halved: the largest size of the next batch."""
    bisect_call_reserved: bool = False
    """Whether its next call is already counted in the account's budget for halving."""
    replay_count: int = 0
    """How many of the pending commands are replays."""
    later_writes: LaterWrites | None = None
    """Decisions of later commands, which those replays must not undo."""

    @property
    def oldest_arrival(self) -> int:
        """The arrival number of its oldest command: the group with the lowest number is served first."""
        return self.pending[0].arrival

    @property
    def exists(self) -> bool:
        """Whether the group exists before its first pending command is carried out."""
        if self.ref.kind is HandleKind.ID:
            return True
        return self.group_id is not None and self.created_by is None

    def forget_creation(self) -> None:
        """Reset what is known of failed creates: the group was created, or the command is settled."""
        self.create_failed, self.create_refusals, self.create_refusal = False, 0, None

    def discard_batch(self) -> None:
        """Return the batch's commands to the queue, so that newer commands can merge with them."""
        self.batch = None

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

    @property
    def expirable_keys(self) -> tuple[CommandKey, ...]:
        """The keys of the batch's commands that can expire and have not."""
        if self.batch is None:
            return ()
        commands, expired = self.batch.commands, self.batch.expired_positions
        return tuple(
            command.key
            for position, command in enumerate(commands)
            if command.expires_at is not None and position not in expired
        )

    def adopt_intent(self, command: Command, facts: Facts, *, bound: bool) -> None:
        """Adopt the ledger's intent of a create that an earlier worker may have sent.

        This engine's own intent has precedence. `bound`: this engine has bound or freed the group key since,
        so that the look-up in the ledger may be outdated.
        """
        intent = facts.intents.get(self.ref)
        # The same intent may have been adopted with a command before the create.
        if intent is None or (self.intent_recorded and intent != self.intent):
            return
        command.attempted |= is_recorded_for(intent, command)
        # The intent of a failed create stays in the ledger, for the next create.
        if is_recorded_for(intent, command) or not (self.pending or bound):
            self.intent, self.intent_recorded = intent, True

    def suspect_create(self, command: Command, until: float) -> None:
        """Record that an earlier owner may have sent the command in an unrecorded call.

        Such a call takes effect before `until` or never. A suspected create is looked up before it is sent.
        """
        command.attempted |= command.expires_at is not None
        if command.kind is CommandKind.CREATE:
            self.suspected_creates[command.key] = until

    def guess_intent(self, command: Command) -> None:
        """Make up the intent of a suspected create, so that its group is looked up first."""
        until = self.suspected_creates.get(command.key)
        if until is not None and self.intent is None and self.group_id is None:
            self.intent = intent_of_command(command, until)
            self.intent_recorded = self.intent_is_guess = True

    def clear_suspected_creates(self) -> None:
        """Clear the batch's creates of suspicion: none of them has created a group."""
        if self.suspected_creates and self.batch is not None:
            for command in self.batch.commands:
                self.suspected_creates.pop(command.key, None)

    def close_recorded_calls(self, now: float) -> list[tuple[GroupRef, int]]:
        """Return the last recorded call, if no call is in doubt: a successor need not know of calls up to it.

        Each call is returned once.
        """
        if self.last_recorded_call is None or any(doubt.until > now for doubt in self.doubts):
            return []
        last, self.last_recorded_call = self.last_recorded_call, None
        return [(self.ref, last)]

    def remove_settled(self) -> None:
        """Remove the settled batch and its commands.

        The view of the vendor is reset when no pending command was in a call yet.
        """
        assert self.batch is not None
        for command in self.batch.commands:
            self.pending.popleft()
            if command is self.created_by:
                self.created_by = None
        if self.replay_count:
            self.replay_count -= sum(replays_of(command.retry_history) > 0 for command in self.batch.commands)
            self.later_writes = self.later_writes if self.replay_count else None
        self.attempted_count = max(0, self.attempted_count - len(self.batch.commands))
        self.batch = None
        self.failures = 0
        self.last_fault = None
        self.forget_creation()
        if not self.attempted_count:
            self.vendor_view = VendorView()
            self.bisect_size = None
        elif self.bisect_size is not None:
            self.bisect_size *= 2
