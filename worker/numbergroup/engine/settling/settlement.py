"""Settling: verdicts become one unit of writing, which the broker's adapter makes durable at once.

What belongs together is in one `Settlement`: the answers, what is remembered for repeats, the dead
letters, and which messages may leave the broker.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from numbergroup.engine.commands import (
    CRASHED,
    Command,
    CommandKey,
    Entry,
    Fault,
    GroupRef,
    Origin,
    Record,
    Refusal,
    SequenceKey,
    Verdict,
    tuple_of,
)
from numbergroup.engine.effects import Decided, Settle
from numbergroup.engine.records import (
    DEAD_LETTERED,
    is_remembered,
    milliseconds,
    record_of,
    replay_variant,
    sequence_key,
    variant_id,
)
from numbergroup.engine.replays import LATEST, Replay, effective_order, replays_of
from numbergroup.engine.settling.dead_letters import DeadLetterRecord, letter_of, letter_of_refusal
from numbergroup.engine.settling.results import Answer, Answers
from numbergroup_contracts.event import MAX_EVENTS_PER_MESSAGE


class Reply(NamedTuple):
    """One message for a reply queue; `queue` is `None` for the default one.

    `listed`: the command came over a kombu list. `correlation_id`: the reply's own property. `entry`: the
    message that is answered.
    """

    queue: str | None
    body: bytes
    correlation_id: str | None = None
    listed: bool = False
    entry: Entry | None = None

    @property
    def is_to_client(self) -> bool:
        """Whether the message's own `reply_to` names the queue: it belongs to the client that sent it."""
        return self.queue is not None and self.entry is not None and self.entry.reply_to == self.queue


@dataclass(slots=True, frozen=True)
class NumberDecision:
    """The last word on a number of a group, or on all (`number` is `None`): its `place` in the unit, or the
    `order` of the command that said it, if that is tried again."""

    group: GroupRef
    number: str | None
    present: bool
    place: int
    order: int | None = None


@dataclass(slots=True)
class Settlement:
    """`done` may leave the broker; of `partial` messages the named indexes are settled by now. `replayed`:
    messages that were tried again are done, with the fields of the groups that their letters were of.
    `unacknowledged`: messages that are answered and cannot leave the broker yet, with the number of their
    events; `forgotten`: those of which no note is kept any more."""

    partition: int
    replies: list[Reply] = field(default_factory=list)
    records: list[tuple[Command, Record]] = field(default_factory=list)
    letters: list[DeadLetterRecord] = field(default_factory=list)
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
    """A unit that is being put together. Each answer is encoded when it is taken: what was decided a moment
    ago is at hand still, and is needed no longer afterwards.

    Marks the events in their entries as settled: what was taken must be written, or forgotten together with
    its entries. `close` it before anything is taken into another one.
    """

    def __init__(self, partition: int, reply_queues: Sequence[str]) -> None:
        self._unit = Settlement(partition)
        self._answers = Answers(reply_queues)
        self._arrays: dict[tuple[str, str | None], tuple[Entry, list[bytes]]] = {}
        self._touched: dict[str, Entry] = {}
        self._place = 0
        self.reply_bytes = 0

    def take(self, settle: Settle, now: float) -> None:
        """Take in what else is to be settled; `now` (Unix seconds) is when its letters are written."""
        unit, at = self._unit, milliseconds(settle.at)
        if settle.decided is not None:
            unit.decisions += _decisions(settle.decided, settle.verdicts, self._place)
        for verdict in settle.verdicts:
            self._place += 1
            if isinstance(verdict, Refusal):
                self._take_refusal(verdict, at, now)
                continue
            record = verdict.repeat_of or self._remembered(verdict, at, now)
            answer = self._answers.to(verdict, record)
            for origin in verdict.command.origins:
                if not origin.entry.void:
                    self._reply(origin, answer, verdict)
        unit.bindings.update(settle.bindings)
        unit.intents_done.extend(settle.intents_done)
        unit.calls_done.extend(settle.calls_done)
        unit.quarantined.update(settle.quarantined)

    def _remembered(self, verdict: Verdict, at: float, now: float) -> Record:
        """Note what is to be known of the command from now on; its record."""
        unit, command = self._unit, verdict.command
        record = verdict.record or record_of(verdict, at)
        if verdict.status in DEAD_LETTERED:
            unit.letters.append(letter_of(verdict, now, self._place))
        if is_remembered(verdict):
            unit.records.append((command, record))
        if command.expires_at is not None and command.arrival:
            unit.attempts_done.append(command.key)
        # Only what was accepted counts, and the engine counts it from then on.
        if command.sequence is not None and command.arrival and not command.stale:
            sequence = sequence_key(command)
            if sequence is not None and not replays_of(command.past):
                unit.sequences[sequence] = command.sequence
        return record

    def _take_refusal(self, refusal: Refusal, at: float, now: float) -> None:
        unit, answer = self._unit, None
        letter = letter_of_refusal(refusal, now, self._place)
        if refusal.key is not None:
            answer = self._answers.to_refusal(refusal, refusal.key, at, letter.id)
            if refusal.kind == CRASHED:
                # It may be a command that was in a call before.
                unit.attempts_done.append(refusal.key)
        if not refusal.origin.entry.void:
            unit.letters.append(letter)
            self._reply(refusal.origin, answer, refusal)

    def _reply(self, origin: Origin, answer: Answer | None, verdict: Verdict | Refusal) -> None:
        unit, entry = self._unit, origin.entry
        unit.answered += 1
        entry.mark(origin.index)
        self._touched[entry.tag] = entry
        if answer is None:
            return
        if entry.replay is not None:
            answer = _of_replay(answer, entry.replay, verdict)
        queue, result = self._answers.addressed(answer, origin)
        self.reply_bytes += len(result)
        if entry.is_array:
            self._arrays.setdefault((entry.tag, queue), (entry, []))[1].append(result)
        else:
            unit.replies.append(tuple_of(Reply, (queue, result, origin.correlation_id, entry.listed, entry)))

    def close(self) -> Settlement:
        """The unit, of all that was taken."""
        unit = self._unit
        for (_, queue), (entry, results) in self._arrays.items():
            for start in range(0, len(results), MAX_EVENTS_PER_MESSAGE):
                some = b",".join(results[start : start + MAX_EVENTS_PER_MESSAGE])
                unit.replies.append(Reply(queue, b"[%b]" % some, entry.correlation_id, entry.listed, entry))
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
    """`reply_queues` are patterns (as in a shell) of the names that a `replyto` may have."""

    reply_queues: Sequence[str] = ()

    def begin(self, partition: int) -> OpenSettlement:
        """A unit of the partition, with nothing in it."""
        return OpenSettlement(partition, self.reply_queues)

    def build(self, partition: int, settles: Iterable[Settle], now: float) -> Settlement:
        """One unit from all that is to be settled."""
        unit = self.begin(partition)
        for settle in settles:
            unit.take(settle, now)
        return unit.close()


def _decisions(decided: Decided, verdicts: Sequence[Verdict | Refusal], before: int) -> list[NumberDecision]:
    """Of verdicts that have `before` others before them in their unit."""

    def said(number: str | None, present: bool, at: int) -> NumberDecision:
        verdict = verdicts[at]
        order = LATEST if isinstance(verdict, Refusal) else effective_order(verdict.command.past)
        return NumberDecision(
            decided.ref, number, present, before + at + 1, None if order == LATEST else order
        )

    found = [said(number, present, at) for number, present, at in decided.numbers]
    return found if decided.everything is None else [said(None, True, decided.everything), *found]


def _of_replay(answer: Answer, replay: Replay, verdict: Verdict | Refusal) -> Answer:
    """The answer to a command that was tried again: no repetition of an earlier one."""
    key = verdict.key if isinstance(verdict, Refusal) else verdict.command.key
    if key is None or (isinstance(verdict, Verdict) and verdict.repeat_of is not None):
        return answer
    return answer._replace(name=variant_id(key, replay_variant(replay.replays)))
