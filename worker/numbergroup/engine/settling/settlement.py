"""Turns verdicts into a `Settlement`: one unit that the broker's adapter writes atomically.

It holds all that must become durable together: results, records for repeats, dead letters, and the messages
to acknowledge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from numbergroup.engine.commands import Command, CommandKey, Entry, GroupRef, Origin, SequenceKey, build_tuple
from numbergroup.engine.effects import GroupDecisions, Settle
from numbergroup.engine.records import (
    DEAD_LETTERED,
    build_record,
    is_remembered,
    replay_variant,
    round_to_milliseconds,
    sequence_key,
    variant_event_id,
)
from numbergroup.engine.replays import LATEST, Replay, effective_order, replays_of
from numbergroup.engine.settling.dead_letters import (
    DeadLetterRecord,
    build_dead_letter,
    build_refusal_dead_letter,
)
from numbergroup.engine.settling.results import Answer, Answers
from numbergroup.engine.verdicts import CRASHED, Fault, Record, Refusal, Verdict
from numbergroup_contracts.event import MAX_EVENTS_PER_MESSAGE


class Reply(NamedTuple):
    """One message for a reply queue; `queue` is `None` for the default one.

    `correlation_id`: becomes the property of the reply message. `from_list`: the command arrived over a kombu
    list. `entry`: the message that is answered.
    """

    queue: str | None
    body: bytes
    correlation_id: str | None = None
    from_list: bool = False
    entry: Entry | None = None

    @property
    def is_to_client(self) -> bool:
        """Whether the queue belongs to the sending client: the message's own `reply_to` names it."""
        return self.queue is not None and self.entry is not None and self.entry.reply_to == self.queue


@dataclass(slots=True, frozen=True)
class NumberDecision:
    """The last decision on one number of a group, or on all numbers (`number` is `None`).

    `position`: the decision's position in the unit, from 1. `order`: set if a replayed command decided.
    """

    group: GroupRef
    number: str | None
    present: bool
    position: int
    order: int | None = None


@dataclass(slots=True)
class Settlement:
    """One unit to write.

    - `records`: what is kept of each command, to answer repeats.
    - `done`: tags of messages to acknowledge.
    - `partial`: tags of messages that have unsettled events, with the indexes of their settled events.
    - `unacknowledged`: tags of answered messages that cannot be acknowledged yet, with their event counts.
    - `forgotten`: tags of messages whose settled indexes are no longer stored.
    - `attempts_done`: settled commands with an expirytime.
    - `replayed`: tags of replayed messages that are done, with the ledger field of the dead letter's group.
    - `quarantined`: see `effects.Settle`, like the other fields with its names.
    - `answered`: how many events the unit settles.
    """

    partition: int
    replies: list[Reply] = field(default_factory=list)
    records: list[tuple[Command, Record]] = field(default_factory=list)
    dead_letters: list[DeadLetterRecord] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    partial: list[tuple[str, list[int]]] = field(default_factory=list)
    unacknowledged: list[tuple[str, int]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    bindings: dict[GroupRef, str | None] = field(default_factory=dict)
    intents_done: list[GroupRef] = field(default_factory=list)
    calls_done: list[tuple[GroupRef, int]] = field(default_factory=list)
    sequences: dict[SequenceKey, int] = field(default_factory=dict)
    attempts_done: list[CommandKey] = field(default_factory=list)
    decisions: list[NumberDecision] = field(default_factory=list)
    replayed: list[tuple[str, str | None]] = field(default_factory=list)
    quarantined: dict[GroupRef, Fault | None] = field(default_factory=dict)
    answered: int = 0


class OpenSettlement:
    """Collects verdicts into one `Settlement`.

    Each result is encoded as soon as its verdict is added. The event is marked as settled in its entry. So
    what was added must be written, or dropped together with its entries. Close this unit before anything is
    added to another one.
    """

    def __init__(self, partition: int, reply_queues: Sequence[str]) -> None:
        self._unit = Settlement(partition)
        self._answers = Answers(reply_queues)
        self._arrays: dict[tuple[str, str | None], tuple[Entry, list[bytes]]] = {}
        self._touched: dict[str, Entry] = {}
        self._position = 0
        self.reply_bytes = 0

    def add(self, settle: Settle, now: float) -> None:
        """Add what `settle` contains. `now` (Unix seconds) becomes the time of its dead letters."""
        unit, settled_at = self._unit, round_to_milliseconds(settle.settled_at)
        if settle.decisions is not None:
            unit.decisions += _number_decisions(settle.decisions, settle.verdicts, self._position)
        for verdict in settle.verdicts:
            self._position += 1
            if isinstance(verdict, Refusal):
                self._add_refusal(verdict, settled_at, now)
                continue
            record = verdict.repeat_of or self._add_record(verdict, settled_at, now)
            answer = self._answers.build(verdict, record)
            for origin in verdict.command.origins:
                if not origin.entry.awaits_redelivery:
                    self._reply(origin, answer, verdict)
        unit.bindings.update(settle.bindings)
        unit.intents_done.extend(settle.intents_done)
        unit.calls_done.extend(settle.calls_done)
        unit.quarantined.update(settle.quarantined)

    def _add_record(self, verdict: Verdict, settled_at: float, now: float) -> Record:
        """Add the command's record, its dead letter and its sequence; return the record."""
        unit, command = self._unit, verdict.command
        record = verdict.record or build_record(verdict, settled_at)
        if verdict.status in DEAD_LETTERED:
            unit.dead_letters.append(build_dead_letter(verdict, now, self._position))
        if is_remembered(verdict):
            unit.records.append((command, record))
        if command.expires_at is not None and command.arrival:
            unit.attempts_done.append(command.key)
        # Only an accepted command advances the sequence. The engine does so at arrival, the ledger here.
        if command.sequence is not None and command.arrival and not command.stale:
            sequence = sequence_key(command)
            if sequence is not None and not replays_of(command.retry_history):
                unit.sequences[sequence] = command.sequence
        return record

    def _add_refusal(self, refusal: Refusal, settled_at: float, now: float) -> None:
        unit, answer = self._unit, None
        dead_letter = build_refusal_dead_letter(refusal, now, self._position)
        if refusal.key is not None:
            answer = self._answers.build_for_refusal(refusal, refusal.key, settled_at, dead_letter.id)
            if refusal.kind == CRASHED:
                # The crashing command may have been in a call before.
                unit.attempts_done.append(refusal.key)
        if not refusal.origin.entry.awaits_redelivery:
            unit.dead_letters.append(dead_letter)
            self._reply(refusal.origin, answer, refusal)

    def _reply(self, origin: Origin, answer: Answer | None, verdict: Verdict | Refusal) -> None:
        """Mark the event as settled and add its reply, if there is an answer."""
        unit, entry = self._unit, origin.entry
        unit.answered += 1
        entry.mark_settled(origin.index)
        self._touched[entry.tag] = entry
        if answer is None:
            return
        if entry.replay is not None:
            answer = _answer_of_replay(answer, entry.replay, verdict)
        queue, result = self._answers.render(answer, origin)
        self.reply_bytes += len(result)
        if entry.is_array:
            self._arrays.setdefault((entry.tag, queue), (entry, []))[1].append(result)
        else:
            # The positional form is faster, and this runs once per command.
            reply = build_tuple(Reply, (queue, result, origin.correlation_id, entry.from_list, entry))
            unit.replies.append(reply)

    def close(self) -> Settlement:
        """Return the unit with all that was added."""
        unit = self._unit
        for (_, queue), (entry, results) in self._arrays.items():
            for start in range(0, len(results), MAX_EVENTS_PER_MESSAGE):
                joined = b",".join(results[start : start + MAX_EVENTS_PER_MESSAGE])
                reply = Reply(
                    queue,
                    b"[%b]" % joined,
                    correlation_id=entry.correlation_id,
                    from_list=entry.from_list,
                    entry=entry,
                )
                unit.replies.append(reply)
        for tag, entry in self._touched.items():
            if len(entry.settled) < entry.total:
                unit.partial.append((tag, sorted(entry.settled)))
            elif entry.replay is None:
                unit.done.append(tag)
            else:
                unit.replayed.append((tag, entry.replay.group))
        return unit


@dataclass(slots=True, frozen=True)
class SettlementBuilder:
    """Creates settlements. `reply_queues`: shell patterns of the queue names that `replyto` may have."""

    reply_queues: Sequence[str] = ()

    def begin(self, partition: int) -> OpenSettlement:
        """Return an empty unit for the partition."""
        return OpenSettlement(partition, self.reply_queues)


def _number_decisions(
    decisions: GroupDecisions, verdicts: Sequence[Verdict | Refusal], before: int
) -> list[NumberDecision]:
    """Return the decisions with their positions in the unit, where `before` verdicts precede these."""

    def decision(number: str | None, present: bool, index: int) -> NumberDecision:
        verdict = verdicts[index]
        order = LATEST if isinstance(verdict, Refusal) else effective_order(verdict.command.retry_history)
        return NumberDecision(
            decisions.ref,
            number,
            present,
            position=before + index + 1,
            order=None if order == LATEST else order,
        )

    found = [decision(number, present, index) for number, present, index in decisions.numbers]
    if decisions.everything is None:
        return found
    return [decision(None, True, decisions.everything), *found]


def _answer_of_replay(answer: Answer, replay: Replay, verdict: Verdict | Refusal) -> Answer:
    """Return the answer with an event id of its own: consumers must not drop it as a repeat."""
    key = verdict.key if isinstance(verdict, Refusal) else verdict.command.key
    if key is None or (isinstance(verdict, Verdict) and verdict.repeat_of is not None):
        return answer
    return answer._replace(event_id=variant_event_id(key, replay_variant(replay.replays)))
