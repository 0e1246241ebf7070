"""All mailboxes of an engine: how they wait for their turn, how their batches end, who is put away.

Effects go to the list that the engine hands out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from numbergroup.engine.batches import expired_head
from numbergroup.engine.decisions import Finish
from numbergroup.engine.mailbox import INHERITED, Mailbox, State
from numbergroup.engine.memory import Partition, weight
from numbergroup.engine.messages import Effect, OpenCalls, Owned, Settle
from numbergroup.engine.model import GroupRef
from numbergroup.engine.quarantine import is_stuck, put_away, reason
from numbergroup.engine.timers import Timers
from numbergroup.engine.turns import Turns

_CROWDED = 0.75
"""How much of the memory may be taken after it was full of commands that cannot go on."""


@dataclass(slots=True)
class Mailboxes:
    """By partition. `group_backlog`: how many commands may wait for a group that is stuck; `room`: for how
    many a partition has memory at all."""

    turns: Turns
    effects: list[Effect]
    timers: Timers
    group_backlog: int
    room: int
    partitions: dict[int, Partition] = field(default_factory=dict)

    def held_up(self, number: int) -> Mapping[str, int]:
        """How many of the partition's commands wait for each account that is down, where there are others; by
        their weight."""
        accounts = self.turns.accounts
        down = {name for name, account in accounts.items() if account.is_down}
        if not down or len(accounts) == 1 or number not in self.partitions:
            return {}
        waiting: Counter[str] = Counter()
        for ref, mailbox in self.partitions[number].mailboxes.items():
            if ref.account in down:
                waiting[ref.account] += sum(map(weight, mailbox.pending))
        return waiting

    def inherit(self, event: Owned) -> None:
        """Take in what the partition's last owner may have sent and nobody answered."""
        partition = self.partitions.setdefault(event.partition, Partition())
        partition.attempted.update(event.attempted)
        partition.quarantined.update(event.quarantined)
        partition.quiet_until = event.quiet_until or 0.0
        for ref, doubts in event.doubts.items():
            mailbox = partition.mailboxes[ref] = Mailbox(ref, event.partition, doubts=list(doubts))
            mailbox.recorded = INHERITED
            self._rest(mailbox, event.now)

    def open_calls(self, number: int, now: float) -> OpenCalls:
        """What is known of the partition's calls beside what was settled."""
        found = OpenCalls()
        partition = self.partitions.get(number)
        for ref, mailbox in partition.mailboxes.items() if partition is not None else ():
            doubts = [doubt for doubt in mailbox.doubts if doubt.until > now]
            intent = mailbox.made if mailbox.created_by is not None else mailbox.intent
            attempted = [
                command.key
                for command in mailbox.pending
                if command.attempted and command.expires_at is not None
            ]
            if doubts:
                found.doubts[ref] = doubts
            if intent is not None:
                found.intents[ref] = intent
            if attempted:
                found.attempted[ref] = attempted
            if not (doubts or intent):
                found.closed.append(ref)
        return found

    def push(self, mailbox: Mailbox, turn: int | None = None) -> None:
        """Let the mailbox wait for its turn, if its partition has turns."""
        partition = self.partitions.get(mailbox.partition)
        if partition is not None and not partition.draining:
            self.turns.accounts[mailbox.ref.account].push(mailbox, turn)
        else:
            mailbox.state = State.IDLE

    def resume(self, mailboxes: Iterable[Mailbox]) -> None:
        """Let those of them that wait for a time, or for an operator, wait for their turn instead."""
        for mailbox in mailboxes:
            if mailbox.state in (State.HELD, State.PARKED) and mailbox.pending:
                self.push(mailbox)

    def finish(self, mailbox: Mailbox, end: Finish, now: float, *, wait_on: bool = False) -> None:
        """Settle it; the others are next, unless they `wait_on` for what the whole mailbox waited for."""
        partition = self.partitions[mailbox.partition]
        partition.take_verdicts(end.verdicts, now)
        for ref, group_id in end.bindings.items():
            partition.bind(ref, group_id, mailbox.made)
            if group_id is None:
                mailbox.group_id = mailbox.created_by = mailbox.made = None
        ended = (end.bindings, end.intents_done, mailbox.forget_calls(now))
        decided = partition.decided(mailbox, end.verdicts) if partition.lettered else None
        self.settle(partition, Settle(mailbox.partition, end.verdicts, now, *ended, decided))
        trouble = mailbox.failures, mailbox.trouble
        mailbox.take_settled()
        if mailbox.pending:
            self.watch_expiry(mailbox)
            if wait_on:
                mailbox.failures, mailbox.trouble = trouble
            else:
                self.push(mailbox)
        else:
            self._rest(mailbox, now)

    def settle(self, partition: Partition, effect: Settle) -> None:
        """Have it written: its answers are owed no longer."""
        partition.take_answers(effect.verdicts)
        self.effects.append(effect)

    def put_away_if_stuck(self, mailbox: Mailbox, now: float) -> None:
        """Quarantine the group if it holds up more than it may, and nobody else is held up by what it waits
        for. Where several of such groups fill the memory, the largest go, until others have room again."""
        partition = self.partitions.get(mailbox.partition)
        # What an operator has brought back must not be put away again because it is much.
        too_much = len(mailbox.pending) - mailbox.replays > self.group_backlog
        if partition is None or not (too_much or partition.load >= self.room):
            return
        if not self._is_stuck(mailbox, now):
            return
        if too_much:
            self._put_away(partition, mailbox, now)
        else:
            stuck = [one for one in partition.mailboxes.values() if self._is_stuck(one, now)]
            for one in sorted(stuck, key=lambda one: len(one.pending), reverse=True):
                if partition.load <= self.room * _CROWDED:
                    break
                self._put_away(partition, one, now)

    def _is_stuck(self, mailbox: Mailbox, now: float) -> bool:
        return is_stuck(mailbox, self.turns.accounts[mailbox.ref.account], now)

    def _put_away(self, partition: Partition, mailbox: Mailbox, now: float) -> None:
        fault = partition.quarantined[mailbox.ref] = reason(mailbox)
        self.settle(partition, Settle(mailbox.partition, [], now, quarantined={mailbox.ref: fault}))
        while mailbox.pending:
            self.finish(mailbox, put_away(mailbox, fault, now, partition.precautions), now, wait_on=True)

    def let_go(self, number: int, partition: Partition, ref: GroupRef, now: float) -> None:
        """End the group's quarantine. In the ledger, too: if it began after the operator's word and before
        that was heard, nobody else ends it there."""
        if partition.quarantined.pop(ref, None) is not None:
            self.settle(partition, Settle(number, [], now, quarantined={ref: None}))

    def _rest(self, mailbox: Mailbox, now: float) -> None:
        """Keep a mailbox without commands for as long as a call in doubt outlives them: those that come
        next must still wait for it."""
        mailbox.state = State.IDLE
        quiet_at = max((doubt.until for doubt in mailbox.doubts), default=0.0)
        if quiet_at > now:
            mailbox.wake_at = quiet_at
            self.timers.set(quiet_at, mailbox)
            return
        partition = self.partitions.get(mailbox.partition)
        if partition is None or partition.mailboxes.get(mailbox.ref) is not mailbox:
            return
        del partition.mailboxes[mailbox.ref]
        self.timers.drop(mailbox)
        calls_done = mailbox.forget_calls(now)
        if calls_done:
            self.effects.append(Settle(mailbox.partition, [], now, calls_done=calls_done))

    def watch_expiry(self, mailbox: Mailbox) -> None:
        """Be woken when the time of the mailbox's first command is over."""
        expires_at = mailbox.pending[0].expires_at
        if expires_at is not None:
            self.timers.set(expires_at, mailbox)

    def wake(self, now: float) -> None:
        for mailbox in self.timers.due(now):
            self._expire(mailbox, now)
            if mailbox.pending and (mailbox.pending[0].expires_at or 0.0) > now:
                self.watch_expiry(mailbox)
            if mailbox.wake_at > now:
                self.timers.set(mailbox.wake_at, mailbox)
                continue
            if mailbox.state is State.PARKED:
                self.push(mailbox)
            elif mailbox.state is State.IDLE and not mailbox.pending:
                self._rest(mailbox, now)
        self.turns.ask(self.turns.accounts, now)

    def _expire(self, mailbox: Mailbox, now: float) -> None:
        """Answer those at the mailbox's head whose time is over, whatever the others wait for."""
        partition = self.partitions.get(mailbox.partition)
        if partition is None or partition.mailboxes.get(mailbox.ref) is not mailbox:
            return
        while mailbox.pending and (end := expired_head(mailbox, now, partition.precautions)) is not None:
            self.finish(mailbox, end, now, wait_on=mailbox.state is not State.READY)

    def drain(self, partition: int | None) -> None:
        if partition is None:
            self.turns.draining = True
            return
        memory = self.partitions.setdefault(partition, Partition())
        memory.draining = True
        for mailbox in memory.mailboxes.values():
            if mailbox.state is State.READY:
                mailbox.state = State.IDLE
        for account in self.turns.accounts.values():
            account.forget(partition)

    def forget(self, partition: int) -> None:
        forgotten = self.partitions.pop(partition, None)
        for mailbox in forgotten.mailboxes.values() if forgotten else ():
            mailbox.state = State.IDLE
            mailbox.pending.clear()
        for account in self.turns.accounts.values():
            account.forget(partition)
