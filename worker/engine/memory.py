"""What the engine remembers of a partition beside its mailboxes.

A look-up in the ledger may be older than a settlement that the engine has decided since; for that
window the engine's own memory of the last settlements is right and the ledger's answer is not.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from worker.engine.mailbox import Mailbox
from worker.engine.messages import Facts
from worker.engine.model import (
    Command,
    CommandKey,
    CreateIntent,
    GroupRef,
    HandleKind,
    Record,
    SequenceKey,
    Verdict,
)
from worker.engine.records import is_remembered, record_of, sequence_key

_SETTLED_KEPT = 50_000
_BINDINGS_KEPT = 50_000
_SEQUENCES_KEPT = 50_000
_TRIES = 4


@dataclass(slots=True)
class Partition:
    """`waiting` counts answers that are owed, so a command that came twice counts twice.

    `draining`: no more calls of it are started. `attempted`: which commands an earlier owner may have sent.
    """

    mailboxes: dict[GroupRef, Mailbox] = field(default_factory=dict)
    commands: dict[CommandKey, Command] = field(default_factory=dict)
    attempted: set[CommandKey] = field(default_factory=set)
    settled: OrderedDict[CommandKey, Record] = field(default_factory=OrderedDict)
    bindings: OrderedDict[GroupRef, str | None] = field(default_factory=OrderedDict)
    made: dict[GroupRef, CreateIntent] = field(default_factory=dict)
    sequences: OrderedDict[SequenceKey, int] = field(default_factory=OrderedDict)
    waiting: int = 0
    draining: bool = False

    def remember(self, verdict: Verdict, now: float) -> None:
        """Keep what a repeat is answered with."""
        if not is_remembered(verdict):
            return
        self.settled[verdict.command.key] = record_of(verdict, now)
        if len(self.settled) > _SETTLED_KEPT:
            self.settled.popitem(last=False)

    def bind(self, ref: GroupRef, group_id: str | None, made: CreateIntent | None) -> None:
        """`made`: how a successor knows the group, until it is durable that its create is settled."""
        self.bindings[ref] = group_id
        if made is not None:
            self.made[ref] = made
        if group_id is None:
            self.made.pop(ref, None)
        if len(self.bindings) > _BINDINGS_KEPT:
            self.made.pop(self.bindings.popitem(last=False)[0], None)

    def knows(self, ref: GroupRef) -> bool:
        """Whether this worker itself created, bound or freed the group, whatever the ledger says."""
        mailbox = self.mailboxes.get(ref)
        in_hand = mailbox is not None and (mailbox.group_id is not None or mailbox.intent_recorded)
        return in_hand or ref in self.bindings

    def take_sequence(self, command: Command, facts: Facts) -> None:
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
                if oldest.group not in self.mailboxes:
                    del self.sequences[oldest]

    def group_id(self, ref: GroupRef, facts: Facts) -> str | None:
        """The vendor's id of the group, as far as it is known."""
        if ref.kind is HandleKind.ID:
            return ref.name
        if ref in self.bindings:
            return self.bindings[ref]
        return facts.bindings.get(ref)
