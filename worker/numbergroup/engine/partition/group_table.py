"""The group table: holds all groups of an engine, and schedules, settles, quarantines and expires them.

It appends its effects to the list that the engine returns.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from numbergroup.engine.account.scheduler import Scheduler
from numbergroup.engine.commands import GroupRef
from numbergroup.engine.effects import Effect, Settle
from numbergroup.engine.events import OpenCalls, PartitionAcquired
from numbergroup.engine.group.batch import finish_expired_head
from numbergroup.engine.group.lifecycle import IDLE, Batch, Idle, Parked, Paused, Ready
from numbergroup.engine.group.next_step import Finish
from numbergroup.engine.group.state import INHERITED, GroupState
from numbergroup.engine.partition.quarantine import dead_letter_pending, is_stuck, quarantine_fault
from numbergroup.engine.partition.state import PartitionState, memory_weight
from numbergroup.engine.timers import Timers

_TARGET_LOAD = 0.75
"""When stuck groups fill the memory, they are quarantined until the load is down to this share."""


@dataclass(slots=True)
class GroupTable:
    """Holds the state of each owned partition and its groups.

    `group_backlog`: how many commands may wait for a stuck group. `max_pending`: the memory of a partition,
    in small commands.
    """

    scheduler: Scheduler
    effects: list[Effect]
    timers: Timers[GroupState]
    group_backlog: int
    max_pending: int
    partitions: dict[int, PartitionState] = field(default_factory=dict)
    serial: int = 0
    """The last number given: commands, calls and places in an account's queue are numbered together."""

    def blocked_counts(self, number: int) -> Mapping[str, int]:
        """Return how much of the partition's load waits for each account that is down, by account name.

        Empty when there is only one account.
        """
        accounts = self.scheduler.accounts
        down = {name for name, account in accounts.items() if account.is_down}
        if not down or len(accounts) == 1 or number not in self.partitions:
            return {}
        waiting: Counter[str] = Counter()
        for ref, group in self.partitions[number].groups.items():
            if ref.account in down:
                waiting[ref.account] += sum(map(memory_weight, group.pending))
        return waiting

    def take_over(self, event: PartitionAcquired) -> None:
        """Take over a partition, with the previous owner's calls in doubt and quarantines."""
        partition = self.partitions.setdefault(event.partition, PartitionState())
        partition.attempted.update(event.attempted)
        partition.quarantined.update(event.quarantined)
        partition.quiet_until = event.quiet_until or 0.0
        for ref, doubts in event.doubts.items():
            group = partition.groups[ref] = GroupState(ref, event.partition, doubts=list(doubts))
            group.last_recorded_call = INHERITED
            self._retire(group, event.now)

    def open_calls(self, number: int, now: float) -> OpenCalls:
        """Return what the engine knows of the partition's calls that no settlement contains."""
        open_calls = OpenCalls()
        partition = self.partitions.get(number)
        for ref, group in partition.groups.items() if partition is not None else ():
            doubts = [doubt for doubt in group.doubts if doubt.until > now]
            intent = group.creation.identity
            attempted = [
                command.key
                for command in group.pending
                if command.attempted and command.expires_at is not None
            ]
            if doubts:
                open_calls.doubts[ref] = doubts
            if intent is not None:
                open_calls.intents[ref] = intent
            if attempted:
                open_calls.attempted[ref] = attempted
            if not (doubts or intent):
                open_calls.closed.append(ref)
        return open_calls

    def enqueue(self, group: GroupState, position: int | None = None, batch: Batch | None = None) -> None:
        """Queue the group for a permit; if its partition is lost or drains, the group becomes idle."""
        partition = self.partitions.get(group.partition)
        if partition is not None and not partition.draining:
            self.scheduler.accounts[group.ref.account].queue.add(group, position, batch)
        else:
            group.move_to(IDLE)

    def park(self, group: GroupState, until: float, now: float, batch: Batch | None = None) -> None:
        """Let the group do nothing before `until` (Unix seconds)."""
        group.move_to(Parked(until, batch))
        self.timers.schedule(until, group)
        self.quarantine_if_stuck(group, now)

    def resume(self, groups: Iterable[GroupState]) -> None:
        """Queue those of the groups that are parked or paused, and have pending commands."""
        for group in groups:
            if isinstance(group.state, Paused | Parked) and group.pending:
                self.enqueue(group, batch=group.state.batch)

    def finish_batch(
        self, group: GroupState, finish: Finish, now: float, *, keep_waiting: bool = False
    ) -> None:
        """Settle the group's batch, and queue its remaining commands.

        With `keep_waiting`, the remaining commands keep the group's phase and failures.
        """
        partition = self.partitions[group.partition]
        partition.untrack(finish.verdicts, now)
        for ref, group_id in finish.bindings.items():
            partition.bind(ref, group_id, group.creation.created_group)
            if group_id is None:
                group.group_id = group.creation.created_by = group.creation.created_group = None
        calls_done = group.close_recorded_calls(now)
        decided = partition.record_decisions(group, finish) if partition.with_dead_letters else None
        # Positional: this runs for every batch.
        self.emit_settle(
            partition,
            Settle(
                group.partition,
                finish.verdicts,
                now,
                finish.bindings,
                finish.intents_done,
                calls_done,
                decided,
            ),
        )
        failures, last_fault = group.failures, group.last_fault
        group.remove_settled(finish.batch)
        if group.pending:
            self.set_expiry_timer(group)
            if keep_waiting:
                group.failures, group.last_fault = failures, last_fault
            else:
                self.enqueue(group)
        else:
            self._retire(group, now)

    def emit_settle(self, partition: PartitionState, effect: Settle) -> None:
        """Emit a settlement, and count its answers as given."""
        partition.count_answered(effect.verdicts)
        self.effects.append(effect)

    def quarantine_if_stuck(self, group: GroupState, now: float) -> None:
        """Quarantine the group if it is stuck and too many commands wait for it.

        If stuck groups fill the partition's memory instead, the largest are quarantined, until the load falls
        to `_TARGET_LOAD`.
        """
        partition = self.partitions.get(group.partition)
        # Replayed commands do not count: an operator wants them tried, however many they are.
        is_over_backlog = len(group.pending) - group.replay_count > self.group_backlog
        if partition is None or not (is_over_backlog or partition.load >= self.max_pending):
            return
        if not self._is_stuck(group, now):
            return
        if is_over_backlog:
            self._dead_letter_pending(partition, group, now)
        else:
            stuck = [other for other in partition.groups.values() if self._is_stuck(other, now)]
            for largest in sorted(stuck, key=lambda other: len(other.pending), reverse=True):
                if partition.load <= self.max_pending * _TARGET_LOAD:
                    break
                self._dead_letter_pending(partition, largest, now)

    def _is_stuck(self, group: GroupState, now: float) -> bool:
        return is_stuck(group, self.scheduler.accounts[group.ref.account], now)

    def _dead_letter_pending(self, partition: PartitionState, group: GroupState, now: float) -> None:
        fault = partition.quarantined[group.ref] = quarantine_fault(group)
        self.emit_settle(partition, Settle(group.partition, [], now, quarantined={group.ref: fault}))
        while group.pending:
            self.finish_batch(
                group, dead_letter_pending(group, fault, now, partition.precautions), now, keep_waiting=True
            )

    def lift_quarantine(self, number: int, partition: PartitionState, ref: GroupRef, now: float) -> None:
        """End the group's quarantine, also in the ledger.

        The ledger may still have it: it may have begun after the operator resumed the group and before this
        worker read that.
        """
        if partition.quarantined.pop(ref, None) is not None:
            self.emit_settle(partition, Settle(number, [], now, quarantined={ref: None}))

    def _retire(self, group: GroupState, now: float) -> None:
        """Remove a group without commands, but not before its last call in doubt is over.

        Until then its next commands must wait for that call.
        """
        quiet_at = max((doubt.until for doubt in group.doubts), default=0.0)
        group.move_to(Idle(quiet_at) if quiet_at > now else IDLE)
        if quiet_at > now:
            self.timers.schedule(quiet_at, group)
            return
        partition = self.partitions.get(group.partition)
        if partition is None or partition.groups.get(group.ref) is not group:
            return
        del partition.groups[group.ref]
        self.timers.cancel(group)
        calls_done = group.close_recorded_calls(now)
        if calls_done:
            self.effects.append(Settle(group.partition, [], now, calls_done=calls_done))

    def set_expiry_timer(self, group: GroupState) -> None:
        """Set a timer for the expiry of the group's first command."""
        expires_at = group.pending[0].expires_at
        if expires_at is not None:
            self.timers.schedule(expires_at, group)

    def wake_due_groups(self, now: float) -> None:
        """Expire commands and queue parked groups whose time has come; then request permits."""
        for group in self.timers.pop_due(now):
            self._expire(group, now)
            if group.pending and (group.pending[0].expires_at or 0.0) > now:
                self.set_expiry_timer(group)
            match group.state:
                case Parked(until=wake_at) | Idle(quiet_at=wake_at) if wake_at > now:
                    self.timers.schedule(wake_at, group)
                case Parked(batch=batch):
                    self.enqueue(group, batch=batch)
                case Idle() if not group.pending:
                    self._retire(group, now)
        self.scheduler.request_permits(self.scheduler.accounts, now)

    def _expire(self, group: GroupState, now: float) -> None:
        """Settle the expired commands at the group's head, whatever the group waits for."""
        partition = self.partitions.get(group.partition)
        if partition is None or partition.groups.get(group.ref) is not group:
            return
        while (
            group.pending and (finish := finish_expired_head(group, now, partition.precautions)) is not None
        ):
            self.finish_batch(group, finish, now, keep_waiting=not isinstance(group.state, Ready))

    def drain(self, partition: int | None) -> None:
        """Start no more calls of the partition (`None`: of any partition)."""
        if partition is None:
            self.scheduler.draining = True
            return
        state = self.partitions.setdefault(partition, PartitionState())
        state.draining = True
        for group in state.groups.values():
            if isinstance(group.state, Ready):
                group.move_to(IDLE)
        for account in self.scheduler.accounts.values():
            account.forget_partition(partition)

    def forget_partition(self, partition: int) -> None:
        """Drop the partition and its groups: another worker owns it."""
        forgotten = self.partitions.pop(partition, None)
        for group in forgotten.groups.values() if forgotten else ():
            group.move_to(IDLE)
            group.pending.clear()
        for account in self.scheduler.accounts.values():
            account.forget_partition(partition)
