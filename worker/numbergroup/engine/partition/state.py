"""What the engine remembers of a partition beside its mailboxes.

A look-up in the ledger may be older than a settlement that the engine has decided since; for that
window the engine's own memory of the last settlements is right and the ledger's answer is not.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from numbergroup.engine.commands import (
    ALL_NUMBERS,
    Command,
    CommandKey,
    CreateIntent,
    Fault,
    GroupRef,
    HandleKind,
    Record,
    Refusal,
    SequenceKey,
    Verdict,
)
from numbergroup.engine.effects import Decided
from numbergroup.engine.events import Facts
from numbergroup.engine.group.attribution import summarize_decisions
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.precautions import Precautions
from numbergroup.engine.records import DEAD_LETTERED, is_remembered, milliseconds, record_of, sequence_key
from numbergroup.engine.replays import LaterWrites, effective_order

_SETTLED_KEPT = 50_000
_BINDINGS_KEPT = 50_000
_SEQUENCES_KEPT = 50_000
_LETTERED_KEPT = 50_000
_TRIES = 4
_SMALL = 50
"""So many numbers take as much memory as all else that a command is made of."""


def memory_weight(command: Command) -> int:
    """How many small commands take as much memory."""
    return 1 + len(command.numbers) // _SMALL


@dataclass(slots=True)
class PartitionState:
    """`waiting` counts answers that are owed, so a command that came twice counts twice.

    `draining`: no more calls of it are started. `attempted`: which commands an earlier owner may have sent.
    `lettered`: groups that may have letters; `expected`: what was decided of groups whose commands are being
    looked up, to be tried again.
    """

    groups: dict[GroupRef, GroupState] = field(default_factory=dict)
    commands: dict[CommandKey, Command] = field(default_factory=dict)
    attempted: set[CommandKey] = field(default_factory=set)
    settled: OrderedDict[CommandKey, Record] = field(default_factory=OrderedDict)
    bindings: OrderedDict[GroupRef, str | None] = field(default_factory=OrderedDict)
    created_groups: dict[GroupRef, CreateIntent] = field(default_factory=dict)
    sequences: OrderedDict[SequenceKey, int] = field(default_factory=OrderedDict)
    with_dead_letters: OrderedDict[GroupRef, None] = field(default_factory=OrderedDict)
    writes_during_lookup: dict[GroupRef, LaterWrites] = field(default_factory=dict)
    quarantined: dict[GroupRef, Fault] = field(default_factory=dict)
    """Groups whose commands are put away, and why."""
    precautions: Precautions | None = None
    """What batches must observe while crashes are looked into."""
    owed_answers: int = 0
    extra_weight: int = 0
    """How many more small commands there would be room for, if those in memory were all small."""
    draining: bool = False
    quiet_until: float = 0.0
    """No call begins before that."""

    @property
    def load(self) -> int:
        """How much memory is taken, in answers that are owed to small commands."""
        return self.owed_answers + self.extra_weight

    def track(self, command: Command) -> None:
        """It waits from here on."""
        self.commands[command.key] = command
        if len(command.numbers) >= _SMALL:
            self.extra_weight += memory_weight(command) - 1

    def untrack(self, verdicts: Sequence[Verdict], now: float) -> None:
        """These commands wait no longer."""
        if self.attempted:
            self.attempted.difference_update(verdict.command.key for verdict in verdicts)
        at = milliseconds(now)
        for verdict in verdicts:
            command = self.commands.pop(verdict.command.key)
            if len(command.numbers) >= _SMALL:
                self.extra_weight -= memory_weight(command) - 1
            self.remember(verdict, at)

    def count_answered(self, verdicts: Sequence[Verdict | Refusal]) -> None:
        """So many answers are no longer owed."""
        self.owed_answers -= sum(
            [1 if isinstance(verdict, Refusal) else len(verdict.command.origins) for verdict in verdicts]
        )

    def remember(self, verdict: Verdict, at: float) -> None:
        """Keep what a repeat is answered with, settled `at` that time (in whole milliseconds), and that there
        is a letter of the group."""
        command = verdict.command
        if verdict.status in DEAD_LETTERED and command.group.kind is not HandleKind.OWN:
            self.note_dead_letters((command.group,))
        if not is_remembered(verdict):
            return
        self.settled[command.key] = record_of(verdict, at)
        if len(self.settled) > _SETTLED_KEPT:
            self.settled.popitem(last=False)

    def bind(self, ref: GroupRef, group_id: str | None, made: CreateIntent | None) -> None:
        """`made`: how a successor knows the group, until it is durable that its create is settled."""
        self.bindings[ref] = group_id
        if made is not None:
            self.created_groups[ref] = made
        if group_id is None:
            self.created_groups.pop(ref, None)
        if len(self.bindings) > _BINDINGS_KEPT:
            self.created_groups.pop(self.bindings.popitem(last=False)[0], None)

    def knows_group(self, ref: GroupRef) -> bool:
        """Whether this worker itself created, bound or freed the group, whatever the ledger says."""
        group = self.groups.get(ref)
        in_hand = group is not None and (group.group_id is not None or group.intent_recorded)
        return in_hand or ref in self.bindings

    def note_sequence(self, command: Command, facts: Facts) -> None:
        """Mark the command as stale if its source has said something later on the group before.

        What still waits counts as well: the outcome must not depend on how soon a call could be made.
        """
        key = sequence_key(command)
        if key is None or command.sequence is None:
            return
        latest = self.sequences.get(key, facts.sequences.get(key))
        command.stale = latest is not None and command.sequence < latest
        if not command.stale:
            self.sequences[key] = command.sequence
            for _ in range(_TRIES):
                if len(self.sequences) <= _SEQUENCES_KEPT:
                    break
                oldest = next(iter(self.sequences))
                self.sequences.move_to_end(oldest)
                # Of what still waits the ledger knows nothing.
                if oldest.group not in self.groups:
                    del self.sequences[oldest]

    def note_dead_letters(self, refs: Iterable[GroupRef]) -> None:
        """What is decided of these groups has to be written down."""
        self.with_dead_letters.update(dict.fromkeys(refs))
        for _ in range(_TRIES):
            if len(self.with_dead_letters) <= _LETTERED_KEPT:
                break
            oldest = next(iter(self.with_dead_letters))
            self.with_dead_letters.move_to_end(oldest)
            # What still waits was looked up before there was a letter.
            if oldest not in self.groups:
                del self.with_dead_letters[oldest]

    def expect_replays(self, refs: Collection[GroupRef]) -> None:
        """Commands of these groups are about to be looked up, to be tried again."""
        self.writes_during_lookup = {ref: LaterWrites() for ref in refs}
        self.note_dead_letters(refs)

    def note_order(self, command: Command, group: GroupState, facts: Facts) -> None:
        """Take in where the command stands: what it must not undo, if it is tried again, or its sequence."""
        if command.past is None:
            if command.sequence is not None:
                self.note_sequence(command, facts)
            return
        ref = group.ref
        group.replay_count += 1
        group.later_writes = group.later_writes or LaterWrites()
        said = facts.since.get(ref)
        if said is not None:
            # Whatever was decided before it was looked up is in there, in its order.
            group.later_writes.forget_latest(None if command.kind in ALL_NUMBERS else command.numbers)
            group.later_writes.absorb(said)
        group.later_writes.absorb(self.writes_during_lookup.get(ref))

    def record_decisions(self, group: GroupState, verdicts: Sequence[Verdict]) -> Decided | None:
        """What the mailbox's batch has decided, if letters of the group may be kept. What is still to be
        tried again has to know it, too."""
        ref, batch = group.ref, group.batch
        if ref not in self.with_dead_letters or batch is None:
            return None
        decided = summarize_decisions(ref, batch, verdicts)
        orders = [effective_order(command.past) for command in batch.commands]
        everything = -1 if decided.everything is None else orders[decided.everything]
        for since in (group.later_writes, self.writes_during_lookup.get(ref)):
            if since is not None:
                said = ((number, present, orders[place]) for number, present, place in decided.numbers)
                since.take(everything, said)
        return decided

    def find_group_id(self, ref: GroupRef, facts: Facts) -> str | None:
        """The vendor's id of the group, as far as it is known."""
        if ref.kind is HandleKind.ID:
            return ref.name
        if ref in self.bindings:
            return self.bindings[ref]
        return facts.bindings.get(ref)
