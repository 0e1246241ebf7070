"""What the engine knows of one group: its state, its pending commands, its calls in doubt."""

from collections import deque
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
from numbergroup.engine.group.lifecycle import IDLE, Batch, State, check_transition
from numbergroup.engine.merging.vendor_view import VendorView
from numbergroup.engine.replays import LaterWrites, replays_of

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
        return self.group_id is not None and self.created_by is None

    def forget_creation(self) -> None:
        """Reset what is known of failed creates: the group was created, or the command is settled."""
        self.create_failed, self.create_refusals, self.create_refusal = False, 0, None

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

    def clear_suspected_creates(self, batch: Batch) -> None:
        """Clear the batch's creates of suspicion: none of them has created a group."""
        if self.suspected_creates:
            for command in batch.commands:
                self.suspected_creates.pop(command.key, None)

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
            if command is self.created_by:
                self.created_by = None
        if self.replay_count:
            self.replay_count -= sum(replays_of(command.retry_history) > 0 for command in batch.commands)
            self.later_writes = self.later_writes if self.replay_count else None
        self.attempted_count = max(0, self.attempted_count - len(batch.commands))
        self.failures = 0
        self.last_fault = None
        self.forget_creation()
        if not self.attempted_count:
            self.vendor_view = VendorView()
            self.bisect_size = None
        elif self.bisect_size is not None:
            self.bisect_size *= 2
