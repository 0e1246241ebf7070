"""The mailbox: one group's waiting commands in arrival order, and where the group stands.

    idle ──► ready ──► in flight ──► ready (next call, or commands that came meanwhile) ──► …
               ▲           │
               ├── parked ◄┘   (a failure, a call in doubt, or linger)
               └── held        (an operator has paused it)

The batch is cut at the very moment when its first call may be sent. Its commands stay at the head of
`pending` until all of its calls are resolved; then they are settled together.
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
"""For `Mailbox.recorded`: the call was an earlier owner's. Our own have greater numbers."""


class Phase(enum.Enum):
    IDLE = enum.auto()
    READY = enum.auto()
    IN_FLIGHT = enum.auto()
    PARKED = enum.auto()
    PAUSED = enum.auto()
    """An operator has paused the group."""


@dataclass(slots=True)
class Batch:
    """Commands that were cut together: they settle together."""

    commands: Sequence[Command]
    change: Change
    expired_positions: frozenset[int]
    calls: deque[Call] = field(default_factory=deque)
    is_started: bool = False
    calls_started: int = 0
    """How many of its calls were begun."""
    refusal: Refused | None = None
    """Why the vendor would not delete the group, while it is looked whether the group is there."""

    def note_failure(self, now: float, numbers: AbstractSet[str] | None = None) -> None:
        """Take in that a call of it failed, or left these numbers out: letters tell how often, since when."""
        for command in self.commands:
            if numbers is not None and numbers.isdisjoint(command.numbers):
                continue
            command.past = command.past or RetryHistory()
            command.past.fail(now)

    def mark_attempted(self) -> None:
        """Take in that a call of it was carried out, or may have been: it is seen through from here on."""
        expired = self.expired_positions
        for position, command in enumerate(self.commands):
            command.attempted = position not in expired


@dataclass(slots=True, eq=False)
class GroupState:
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
    """How many of the pending, from the head, were in a batch whose calls began."""
    sent_at: float = 0.0
    """When its last call started."""
    intent: CreateIntent | None = None
    intent_recorded: bool = False
    """Whether the ledger has an intent of this group, answered or not, that must be closed one day."""
    intent_is_guess: bool = False
    """Whether the intent stands for a create that may have been sent, and of which nothing is known."""
    suspected_creates: dict[CommandKey, float] = field(default_factory=dict)
    """Creates that may have been sent, and until when they may take effect."""
    last_recorded_call: int | None = None
    """The last call that the ledger was told of, so that a successor knows of it; see `forget_calls`."""
    created_by: Command | None = None
    create_request_id: str | None = None
    created_group: CreateIntent | None = None
    """What the ledger is to know instead of the intent of the create that made the group."""
    create_failed: bool = False
    """Whether its create was answered with a failure before that says nothing for certain."""
    create_refusals: int = 0
    """How often its create was refused in doubt: the vendor said no, and may have made the group."""
    create_refusal: Refused | None = None
    """The last of those refusals."""
    failures: int = 0
    first_failed_at: float = 0.0
    last_fault: Fault | None = None
    """Why it failed last."""
    answers_at_fault: int | None = None
    """How many of the account's calls had been answered when this one's met a fault of the account, last."""
    stopped_account_at: float | None = None
    """When its last call stopped the whole account; `None` once one was answered normally."""
    lone_throttles: int = 0
    """How often the vendor asked to wait at its calls, and answered others sent in between normally."""
    throttled_until: float = 0.0
    """Until when it waits for that."""
    queue_position: int = 0
    """Its place in line, while it is ready."""
    bisect_size: int | None = None
    """While a refused batch is being halved: how many commands the next batch may have."""
    bisect_call_reserved: bool = False
    """Whether its next call is in the account's budget for that."""
    replay_count: int = 0
    """How many of the pending are tried again."""
    later_writes: LaterWrites | None = None
    """What those must not undo."""

    @property
    def oldest_arrival(self) -> int:
        """When its oldest command arrived: who waits longest goes first."""
        return self.pending[0].arrival

    @property
    def exists(self) -> bool:
        """Whether the group is there before the first of the pending commands."""
        if self.ref.kind is HandleKind.ID:
            return True
        return self.group_id is not None and self.created_by is None

    def forget_creation(self) -> None:
        """Drop what is known of a create that failed: the group was made, or its command is settled."""
        self.create_failed, self.create_refusals, self.create_refusal = False, 0, None

    def discard_batch(self) -> None:
        """Give the batch's commands back, so that newer ones may merge with what is left to do."""
        self.batch = None

    def blocked_until(self, call: Call, now: float) -> float | None:
        """Until when `call` must wait, because an unanswered earlier one could still undo it."""
        if not self.doubts:
            return None
        self.doubts = [doubt for doubt in self.doubts if doubt.until > now]
        return max((doubt.until for doubt in self.doubts if undoes(doubt.call, call)), default=None)

    def has_call_in_doubt(self, command: Command, now: float) -> bool:
        """Whether the command is tried again, and a call that carried it before may still take effect: what
        refused it then may take it by now."""
        return command.past is not None and any(
            doubt.until > now and not set(doubt.call.numbers).isdisjoint(command.numbers)
            for doubt in self.doubts
        )

    @property
    def expirable_keys(self) -> tuple[CommandKey, ...]:
        """The batch's commands that can expire, and have not."""
        if self.batch is None:
            return ()
        commands, expired = self.batch.commands, self.batch.expired_positions
        return tuple(
            command.key
            for position, command in enumerate(commands)
            if command.expires_at is not None and position not in expired
        )

    def adopt_intent(self, command: Command, facts: Facts, *, bound: bool) -> None:
        """Take in that an earlier worker may have sent a create, unless the intent is this engine's own.

        `bound`: the key was bound or freed since, so that an older look-up says nothing.
        """
        intent = facts.intents.get(self.ref)
        # The intent may have been taken in with a command before the create.
        if intent is None or (self.intent_recorded and intent != self.intent):
            return
        command.attempted |= is_recorded_for(intent, command)
        # A failed create's intent outlives it, to be found by the next create.
        if is_recorded_for(intent, command) or not (self.pending or bound):
            self.intent, self.intent_recorded = intent, True

    def suspect_create(self, command: Command, until: float) -> None:
        """Take in that the command may have been in a call of which nothing is known, and which takes
        effect before `until` or never: a create is looked for before it is sent."""
        command.attempted |= command.expires_at is not None
        if command.kind is CommandKind.CREATE:
            self.suspected_creates[command.key] = until

    def guess_intent(self, command: Command) -> None:
        """Take the create of a batch for one that was sent, if it may have been."""
        until = self.suspected_creates.get(command.key)
        if until is not None and self.intent is None and self.group_id is None:
            self.intent = intent_of_command(command, until)
            self.intent_recorded = self.intent_is_guess = True

    def clear_suspected_creates(self) -> None:
        """Take in that none of the batch's creates has made a group."""
        if self.suspected_creates and self.batch is not None:
            for command in self.batch.commands:
                self.suspected_creates.pop(command.key, None)

    def close_recorded_calls(self, now: float) -> list[tuple[GroupRef, int]]:
        """What a successor need not know any more: all calls up to this one, if none is in doubt."""
        if self.last_recorded_call is None or any(doubt.until > now for doubt in self.doubts):
            return []
        last, self.last_recorded_call = self.last_recorded_call, None
        return [(self.ref, last)]

    def remove_settled(self) -> None:
        """Drop the batch's commands; what is known of the vendor ends with the last that needs it."""
        assert self.batch is not None
        for command in self.batch.commands:
            self.pending.popleft()
            if command is self.created_by:
                self.created_by = None
        if self.replay_count:
            self.replay_count -= sum(replays_of(command.past) > 0 for command in self.batch.commands)
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
