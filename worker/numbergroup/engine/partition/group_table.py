"""All mailboxes of an engine: how they wait for their turn, how their batches end, who is put away.

Effects go to the list that the engine hands out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from numbergroup.engine.account.scheduler import Scheduler
from numbergroup.engine.commands import GroupRef
from numbergroup.engine.effects import Effect, Settle
from numbergroup.engine.events import OpenCalls, Owned
from numbergroup.engine.group.batch import finish_expired_head
from numbergroup.engine.group.next_step import Finish
from numbergroup.engine.group.state import INHERITED, GroupState, Phase
from numbergroup.engine.partition.quarantine import dead_letter_pending, is_stuck, quarantine_fault
from numbergroup.engine.partition.state import PartitionState, memory_weight
from numbergroup.engine.timers import Timers

_CROWDED = 0.75
"""How much of the memory may be taken after it was full of commands that cannot go on."""


@dataclass(slots=True)
class GroupTable:
    """By partition. `group_backlog`: how many commands may wait for a group that is stuck; `room`: for how
    many a partition has memory at all."""

    scheduler: Scheduler
    effects: list[Effect]
    timers: Timers[GroupState]
    group_backlog: int
    max_pending: int
    partitions: dict[int, PartitionState] = field(default_factory=dict)

    def blocked_counts(self, number: int) -> Mapping[str, int]:
        """How many of the partition's commands wait for each account that is down, where there are others; by
        their weight."""
        accounts = self.scheduler.accounts
        down = {name for name, account in accounts.items() if account.is_down}
        if not down or len(accounts) == 1 or number not in self.partitions:
            return {}
        waiting: Counter[str] = Counter()
        for ref, group in self.partitions[number].groups.items():
            if ref.account in down:
                waiting[ref.account] += sum(map(memory_weight, group.pending))
        return waiting

    def take_over(self, event: Owned) -> None:
        """Take in what the partition's last owner may have sent and nobody answered."""
        partition = self.partitions.setdefault(event.partition, PartitionState())
        partition.attempted.update(event.attempted)
        partition.quarantined.update(event.quarantined)
        partition.quiet_until = event.quiet_until or 0.0
        for ref, doubts in event.doubts.items():
            group = partition.groups[ref] = GroupState(ref, event.partition, doubts=list(doubts))
            group.last_recorded_call = INHERITED
            self._retire(group, event.now)

    def open_calls(self, number: int, now: float) -> OpenCalls:
        """What is known of the partition's calls beside what was settled."""
        found = OpenCalls()
        partition = self.partitions.get(number)
        for ref, group in partition.groups.items() if partition is not None else ():
            doubts = [doubt for doubt in group.doubts if doubt.until > now]
            intent = group.created_group if group.created_by is not None else group.intent
            attempted = [
                command.key
                for command in group.pending
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

    def enqueue(self, group: GroupState, turn: int | None = None) -> None:
        """Let the mailbox wait for its turn, if its partition has turns."""
        partition = self.partitions.get(group.partition)
        if partition is not None and not partition.draining:
            self.scheduler.accounts[group.ref.account].enqueue(group, turn)
        else:
            group.phase = Phase.IDLE

    def resume(self, groups: Iterable[GroupState]) -> None:
        """Let those of them that wait for a time, or for an operator, wait for their turn instead."""
        for group in groups:
            if group.phase in (Phase.PAUSED, Phase.PARKED) and group.pending:
                self.enqueue(group)

    def finish_batch(self, group: GroupState, end: Finish, now: float, *, wait_on: bool = False) -> None:
        """Settle it; the others are next, unless they `wait_on` for what the whole mailbox waited for."""
        partition = self.partitions[group.partition]
        partition.untrack(end.verdicts, now)
        for ref, group_id in end.bindings.items():
            partition.bind(ref, group_id, group.created_group)
            if group_id is None:
                group.group_id = group.created_by = group.created_group = None
        ended = (end.bindings, end.intents_done, group.close_recorded_calls(now))
        decided = partition.record_decisions(group, end.verdicts) if partition.with_dead_letters else None
        self.emit_settle(partition, Settle(group.partition, end.verdicts, now, *ended, decided))
        trouble = group.failures, group.last_fault
        group.remove_settled()
        if group.pending:
            self.set_expiry_timer(group)
            if wait_on:
                group.failures, group.last_fault = trouble
            else:
                self.enqueue(group)
        else:
            self._retire(group, now)

    def emit_settle(self, partition: PartitionState, effect: Settle) -> None:
        """Have it written: its answers are owed no longer."""
        partition.count_answered(effect.verdicts)
        self.effects.append(effect)

    def quarantine_if_stuck(self, group: GroupState, now: float) -> None:
        """Quarantine the group if it holds up more than it may, and nobody else is held up by what it waits
        for. Where several of such groups fill the memory, the largest go, until others have room again."""
        partition = self.partitions.get(group.partition)
        # What an operator has brought back must not be put away again because it is much.
        too_much = len(group.pending) - group.replay_count > self.group_backlog
        if partition is None or not (too_much or partition.load >= self.max_pending):
            return
        if not self._is_stuck(group, now):
            return
        if too_much:
            self._dead_letter_pending(partition, group, now)
        else:
            stuck = [one for one in partition.groups.values() if self._is_stuck(one, now)]
            for one in sorted(stuck, key=lambda one: len(one.pending), reverse=True):
                if partition.load <= self.max_pending * _CROWDED:
                    break
                self._dead_letter_pending(partition, one, now)

    def _is_stuck(self, group: GroupState, now: float) -> bool:
        return is_stuck(group, self.scheduler.accounts[group.ref.account], now)

    def _dead_letter_pending(self, partition: PartitionState, group: GroupState, now: float) -> None:
        fault = partition.quarantined[group.ref] = quarantine_fault(group)
        self.emit_settle(partition, Settle(group.partition, [], now, quarantined={group.ref: fault}))
        while group.pending:
            self.finish_batch(
                group, dead_letter_pending(group, fault, now, partition.precautions), now, wait_on=True
            )

    def lift_quarantine(self, number: int, partition: PartitionState, ref: GroupRef, now: float) -> None:
        """End the group's quarantine. In the ledger, too: if it began after the operator's word and before
        that was heard, nobody else ends it there."""
        if partition.quarantined.pop(ref, None) is not None:
            self.emit_settle(partition, Settle(number, [], now, quarantined={ref: None}))

    def _retire(self, group: GroupState, now: float) -> None:
        """Keep a mailbox without commands for as long as a call in doubt outlives them: those that come
        next must still wait for it."""
        group.phase = Phase.IDLE
        quiet_at = max((doubt.until for doubt in group.doubts), default=0.0)
        if quiet_at > now:
            group.wake_at = quiet_at
            self.timers.set(quiet_at, group)
            return
        partition = self.partitions.get(group.partition)
        if partition is None or partition.groups.get(group.ref) is not group:
            return
        del partition.groups[group.ref]
        self.timers.drop(group)
        calls_done = group.close_recorded_calls(now)
        if calls_done:
            self.effects.append(Settle(group.partition, [], now, calls_done=calls_done))

    def set_expiry_timer(self, group: GroupState) -> None:
        """Be woken when the time of the mailbox's first command is over."""
        expires_at = group.pending[0].expires_at
        if expires_at is not None:
            self.timers.set(expires_at, group)

    def wake_due_groups(self, now: float) -> None:
        for group in self.timers.due(now):
            self._expire(group, now)
            if group.pending and (group.pending[0].expires_at or 0.0) > now:
                self.set_expiry_timer(group)
            if group.wake_at > now:
                self.timers.set(group.wake_at, group)
                continue
            if group.phase is Phase.PARKED:
                self.enqueue(group)
            elif group.phase is Phase.IDLE and not group.pending:
                self._retire(group, now)
        self.scheduler.request_permits(self.scheduler.accounts, now)

    def _expire(self, group: GroupState, now: float) -> None:
        """Answer those at the mailbox's head whose time is over, whatever the others wait for."""
        partition = self.partitions.get(group.partition)
        if partition is None or partition.groups.get(group.ref) is not group:
            return
        while group.pending and (end := finish_expired_head(group, now, partition.precautions)) is not None:
            self.finish_batch(group, end, now, wait_on=group.phase is not Phase.READY)

    def drain(self, partition: int | None) -> None:
        if partition is None:
            self.scheduler.draining = True
            return
        memory = self.partitions.setdefault(partition, PartitionState())
        memory.draining = True
        for group in memory.groups.values():
            if group.phase is Phase.READY:
                group.phase = Phase.IDLE
        for account in self.scheduler.accounts.values():
            account.forget_partition(partition)

    def forget_partition(self, partition: int) -> None:
        forgotten = self.partitions.pop(partition, None)
        for group in forgotten.groups.values() if forgotten else ():
            group.phase = Phase.IDLE
            group.pending.clear()
        for account in self.scheduler.accounts.values():
            account.forget_partition(partition)
