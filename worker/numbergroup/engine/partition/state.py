"""The state of one partition: its groups and commands, and its latest settlements, bindings and sequences.

A look-up in the ledger may be older than the engine's latest settlements. So the engine remembers these, and
its memory has precedence over the look-up.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from numbergroup.engine.commands import (
    WHOLE_GROUP_KINDS,
    Command,
    CommandKey,
    GroupRef,
    HandleKind,
    SequenceKey,
)
from numbergroup.engine.doubt import CreateIntent
from numbergroup.engine.effects import GroupDecisions
from numbergroup.engine.events import LookupResult
from numbergroup.engine.group.attribution import summarize_decisions
from numbergroup.engine.group.next_step import Finish
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.precautions import Precautions
from numbergroup.engine.records import (
    DEAD_LETTERED,
    build_record,
    is_remembered,
    round_to_milliseconds,
    sequence_key,
)
from numbergroup.engine.replays import LaterWrites, effective_order
from numbergroup.engine.verdicts import Fault, Record, Refusal, Verdict

_SETTLED_KEPT = 50_000
_BINDINGS_KEPT = 50_000
_SEQUENCES_KEPT = 50_000
_DEAD_LETTERED_KEPT = 50_000
_EVICTION_TRIES = 4
_SMALL = 50
"""So many numbers take as much memory as the rest of a command."""


def memory_weight(command: Command) -> int:
    """Return the command's memory use, in small commands."""
    return 1 + len(command.numbers) // _SMALL


@dataclass(slots=True)
class PartitionState:
    """Everything the engine knows of one owned partition."""

    groups: dict[GroupRef, GroupState] = field(default_factory=dict)
    commands: dict[CommandKey, Command] = field(default_factory=dict)
    """The pending commands of all groups."""
    attempted: set[CommandKey] = field(default_factory=set)
    """Commands that an earlier owner may have sent."""
    settled: OrderedDict[CommandKey, Record] = field(default_factory=OrderedDict)
    bindings: OrderedDict[GroupRef, str | None] = field(default_factory=OrderedDict)
    created_groups: dict[GroupRef, CreateIntent] = field(default_factory=dict)
    sequences: OrderedDict[SequenceKey, int] = field(default_factory=OrderedDict)
    with_dead_letters: OrderedDict[GroupRef, None] = field(default_factory=OrderedDict)
    """Groups that may have dead letters: what is decided of them is recorded for replays."""
    writes_during_lookup: dict[GroupRef, LaterWrites] = field(default_factory=dict)
    """Decisions about groups whose replays are being looked up: the look-up may not contain them."""
    quarantined: dict[GroupRef, Fault] = field(default_factory=dict)
    """Groups whose commands are dead-lettered on arrival, with the error."""
    precautions: Precautions | None = None
    """Limits of batches while the cause of crashes is searched."""
    owed_answers: int = 0
    """Number of answers that are owed; a command that was delivered twice counts twice."""
    extra_weight: int = 0
    """Memory use of large commands beyond that of small ones, in small commands."""
    draining: bool = False
    """Whether no more calls are started."""
    quiet_until: float = 0.0
    """No call starts before (Unix seconds)."""

    @property
    def load(self) -> int:
        """The partition's memory use, in small commands."""
        return self.owed_answers + self.extra_weight

    def track(self, command: Command) -> None:
        """Add a pending command."""
        self.commands[command.key] = command
        if len(command.numbers) >= _SMALL:
            self.extra_weight += memory_weight(command) - 1

    def untrack(self, verdicts: Sequence[Verdict], now: float) -> None:
        """Remove the commands of these verdicts, and remember their answers for repeats."""
        if self.attempted:
            self.attempted.difference_update(verdict.command.key for verdict in verdicts)
        settled_at = round_to_milliseconds(now)
        for verdict in verdicts:
            command = self.commands.pop(verdict.command.key)
            if len(command.numbers) >= _SMALL:
                self.extra_weight -= memory_weight(command) - 1
            self.remember(verdict, settled_at)

    def count_answered(self, verdicts: Sequence[Verdict | Refusal]) -> None:
        """Count the answers of these verdicts as given."""
        self.owed_answers -= sum(
            [1 if isinstance(verdict, Refusal) else len(verdict.command.origins) for verdict in verdicts]
        )

    def remember(self, verdict: Verdict, settled_at: float) -> None:
        """Remember the answer for repeats of the command, and whether its group has a dead letter.

        `settled_at`: Unix seconds, in whole milliseconds.
        """
        command = verdict.command
        if verdict.status in DEAD_LETTERED and command.group.kind is not HandleKind.OWN:
            self.note_dead_letters((command.group,))
        if not is_remembered(verdict):
            return
        self.settled[command.key] = build_record(verdict, settled_at)
        if len(self.settled) > _SETTLED_KEPT:
            self.settled.popitem(last=False)

    def bind(self, ref: GroupRef, group_id: str | None, created_group: CreateIntent | None) -> None:
        """Bind the group key to an id; with `None`, free it.

        `created_group`: the intent by which a successor finds the group until its create is durably settled.
        """
        self.bindings[ref] = group_id
        if created_group is not None:
            self.created_groups[ref] = created_group
        if group_id is None:
            self.created_groups.pop(ref, None)
        if len(self.bindings) > _BINDINGS_KEPT:
            self.created_groups.pop(self.bindings.popitem(last=False)[0], None)

    def knows_group(self, ref: GroupRef) -> bool:
        """Whether this engine itself created, bound or freed the group, so that it needs no look-up."""
        group = self.groups.get(ref)
        is_pending = group is not None and (group.group_id is not None or group.creation.is_recorded)
        return is_pending or ref in self.bindings

    def note_sequence(self, command: Command, facts: LookupResult) -> None:
        """Mark the command as stale if its source sent a higher sequence for the group before.

        Pending commands count too, so that the result does not depend on when calls are made.
        """
        key = sequence_key(command)
        if key is None or command.sequence is None:
            return
        latest = self.sequences.get(key, facts.sequences.get(key))
        command.stale = latest is not None and command.sequence < latest
        if not command.stale:
            self.sequences[key] = command.sequence
            for _ in range(_EVICTION_TRIES):
                if len(self.sequences) <= _SEQUENCES_KEPT:
                    break
                oldest = next(iter(self.sequences))
                self.sequences.move_to_end(oldest)
                # The ledger does not know the sequences of pending commands: keep them.
                if oldest.group not in self.groups:
                    del self.sequences[oldest]

    def note_dead_letters(self, refs: Iterable[GroupRef]) -> None:
        """Note that these groups may have dead letters: decisions about them are recorded from now on."""
        self.with_dead_letters.update(dict.fromkeys(refs))
        for _ in range(_EVICTION_TRIES):
            if len(self.with_dead_letters) <= _DEAD_LETTERED_KEPT:
                break
            oldest = next(iter(self.with_dead_letters))
            self.with_dead_letters.move_to_end(oldest)
            # The look-up of pending commands may be older than the dead letter: keep the group.
            if oldest not in self.groups:
                del self.with_dead_letters[oldest]

    def expect_replays(self, refs: Collection[GroupRef]) -> None:
        """Prepare for replays of these groups, which are looked up next: collect decisions from now on."""
        self.writes_during_lookup = {ref: LaterWrites() for ref in refs}
        self.note_dead_letters(refs)

    def note_order(self, command: Command, group: GroupState, facts: LookupResult) -> None:
        """Record the command's place in the order.

        For a replay: the later decisions that it must not undo. For others: the sequence of its source.
        """
        if command.retry_history is None:
            if command.sequence is not None:
                self.note_sequence(command, facts)
            return
        ref = group.ref
        group.replay_count += 1
        group.later_writes = group.later_writes or LaterWrites()
        looked_up = facts.later_writes.get(ref)
        if looked_up is not None:
            # The look-up has all decisions up to now with their orders, and replaces those without.
            group.later_writes.forget_latest(None if command.kind in WHOLE_GROUP_KINDS else command.numbers)
            group.later_writes.add_all(looked_up)
        group.later_writes.add_all(self.writes_during_lookup.get(ref))

    def record_decisions(self, group: GroupState, finish: Finish) -> GroupDecisions | None:
        """Return what the finished batch decided; `None` if the group cannot have dead letters.

        The decisions are also added to those that pending replays must not undo.
        """
        ref, batch = group.ref, finish.batch
        if ref not in self.with_dead_letters:
            return None
        decided = summarize_decisions(ref, batch, finish.verdicts)
        orders = [effective_order(command.retry_history) for command in batch.commands]
        everything = -1 if decided.everything is None else orders[decided.everything]
        for writes in (group.later_writes, self.writes_during_lookup.get(ref)):
            if writes is not None:
                numbers = (
                    (number, present, orders[position]) for number, present, position in decided.numbers
                )
                writes.add(everything, numbers)
        return decided

    def find_group_id(self, ref: GroupRef, facts: LookupResult) -> str | None:
        """Return the vendor's id of the group; `None` if it is not known."""
        if ref.kind is HandleKind.ID:
            return ref.name
        if ref in self.bindings:
            return self.bindings[ref]
        return facts.bindings.get(ref)
