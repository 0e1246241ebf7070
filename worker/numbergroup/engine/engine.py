"""The engine: turns events into effects, without I/O. Its rules:

- **Permit first, then batch.** A ready group requests a permit. Its batch is formed, merged and planned
  when the permit is granted, so that it includes every command that arrived by then.
- **A batch settles as a whole**, when its last call is resolved.
- **In order.** A group has at most one call in flight, and commands leave its queue from the head only.
- **After a failure** the commands return to the queue, and the next batch is formed anew. Changes that the
  vendor has confirmed are remembered and not sent again.
- **A refused batch is halved in order**, until a single command is refused: that command is rejected.
- **A create is never resent blindly.** The group is looked up first, until its absence is proven.
- **A failing group parks, and other groups continue.** A fault of the account stops all calls of the account;
  then single probes find out when calls work again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from numbergroup.engine.account.scheduler import Scheduler, Turn
from numbergroup.engine.calls import CHANGING, Applied, Refused, Unavailable
from numbergroup.engine.commands import GroupRef
from numbergroup.engine.effects import Effect, StartCall, WakeAt
from numbergroup.engine.events import (
    CallFinished,
    ControlsUpdated,
    CredentialsChanged,
    Delivered,
    Drain,
    Event,
    OpenCalls,
    PartitionAcquired,
    PartitionLost,
    PermitGranted,
    PrecautionsChanged,
    ProbeDenied,
    ReplaysExpected,
    Tick,
)
from numbergroup.engine.group.batch import next_commands, next_step
from numbergroup.engine.group.lifecycle import InFlight, Paused
from numbergroup.engine.group.next_step import Finish, NextStep, Park, Queue, Send
from numbergroup.engine.group.outcome import resolve
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.partition.delivery import Delivery
from numbergroup.engine.partition.group_table import GroupTable
from numbergroup.engine.partition.state import PartitionState
from numbergroup.engine.policy import AccountPolicy, RetryPolicy
from numbergroup.engine.precautions import Precautions
from numbergroup.engine.snapshot import Snapshot, view_account, view_partition
from numbergroup.engine.timers import Timers


@dataclass(slots=True, frozen=True)
class _Flight:
    """A call in flight; with `is_probe`, it tests whether the account works again."""

    group: GroupState
    state: InFlight
    is_probe: bool


@dataclass(slots=True)
class Engine:
    """Decides what a worker does next: one instance per worker, fed through `handle`.

    `linger_s`: seconds that an idle group waits for more commands. `group_backlog`: how many commands may
    wait for a stuck group. `max_pending`: the memory of a partition, in small commands.
    """

    policies: Mapping[str, AccountPolicy]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    linger_s: float = 0.0
    group_backlog: int = 5_000
    max_pending: int = 1_000_000
    _scheduler: Scheduler = field(init=False)
    _paused_groups: Mapping[GroupRef, str] = field(init=False, default_factory=dict)
    _groups: GroupTable = field(init=False)
    _in_flight: dict[int, _Flight] = field(init=False, default_factory=dict)
    _timers: Timers[GroupState] = field(init=False, default_factory=Timers[GroupState])
    _effects: list[Effect] = field(init=False, default_factory=list)
    _delivery: Delivery = field(init=False)

    def __post_init__(self) -> None:
        self._scheduler = Scheduler(self.policies, self._effects, self._timers)
        self._groups = GroupTable(
            self._scheduler, self._effects, self._timers, self.group_backlog, self.max_pending
        )
        self._delivery = Delivery(self._groups, self.policies, self.linger_s)

    def memory_load(self, partition: int) -> int:
        """Return the partition's memory use, in small commands that are not answered yet.

        A command with many numbers counts as several. The runtime compares this with the partition's credit.
        """
        return self._groups.partitions[partition].load if partition in self._groups.partitions else 0

    def blocked_counts(self, partition: int) -> Mapping[str, int]:
        """Return how much of the partition's load waits for each account that is down, by account name.

        Empty when there is only one account: then no other account must be protected from the backlog.
        """
        return self._groups.blocked_counts(partition)

    def may_call(self, account: str, now: float) -> bool:
        """Whether the account may make normal calls (not probes) at this time."""
        return self._scheduler.accounts[account].may_call(now)

    def is_throttled(self, account: str, now: float) -> bool:
        """Whether a wait that the vendor requested for the whole account is still running."""
        return self._scheduler.accounts[account].is_throttled(now)

    def may_retry(self, account: str, now: float) -> bool:
        """Whether a failed call of the account may be sent again within its permit."""
        return self._scheduler.accounts[account].may_retry(now)

    def next_turn(self, account: str) -> Turn | None:
        """Preview the group that would use the account's next permit; `None` if no group is ready."""
        group = self._scheduler.accounts[account].queue.peek()
        if group is None:
            return None
        commands = next_commands(group, self._precautions(group))
        batch = group.state.batch
        call_index = 0 if batch is None else batch.calls_started
        return Turn(group.partition, group.ref, tuple(command.digest for command in commands), call_index)

    def _precautions(self, group: GroupState) -> Precautions | None:
        partition = self._groups.partitions.get(group.partition)
        return None if partition is None else partition.precautions

    def snapshot(self, now: float) -> Snapshot:
        """Return a view of all accounts and partitions, for operators."""
        return Snapshot(
            {name: view_account(account, now) for name, account in self._scheduler.accounts.items()},
            {
                number: view_partition(partition, self._paused_groups)
                for number, partition in self._groups.partitions.items()
            },
        )

    def open_calls(self, partition: int, now: float) -> OpenCalls:
        """Return what the engine knows of the partition's unsettled calls. Call it before `PartitionLost`."""
        return self._groups.open_calls(partition, now)

    def handle(self, event: Event) -> list[Effect]:
        """Process one event and return its effects, to be carried out in order.

        It never raises on data that other programs sent.
        """
        # Every tick uses up the last `WakeAt`, also a tick that comes early.
        requested_wake = None if isinstance(event, Tick) else self._timers.next_due
        match event:
            case PartitionAcquired():
                self._groups.take_over(event)
            case ReplaysExpected(number, groups):
                self._groups.partitions.setdefault(number, PartitionState()).expect_replays(groups)
            case Delivered():
                self._scheduler.request_permits(self._delivery.deliver(event), event.now)
            case PermitGranted():
                self._use_permit(event)
            case ProbeDenied():
                self._scheduler.on_probe_denied(event)
            case CallFinished():
                self._finish_call(event)
            case ControlsUpdated():
                self._update_controls(event)
            case CredentialsChanged():
                self._groups.resume(self._scheduler.accounts[event.account].clear_fault())
                self._scheduler.request_permits([event.account], event.now)
            case PrecautionsChanged(number, precautions):
                self._groups.partitions.setdefault(number, PartitionState()).precautions = precautions
            case Tick():
                self._groups.wake_due_groups(event.now)
            case PartitionLost():
                self._groups.forget_partition(event.partition)
            case Drain():
                self._groups.drain(event.partition)
            case _:
                assert_never(event)
        if self._timers.next_due is not None and self._timers.next_due != requested_wake:
            self._effects.append(WakeAt(self._timers.next_due))
        effects = [*self._effects]
        self._effects.clear()
        return effects

    def _use_permit(self, event: PermitGranted) -> None:
        account = self._scheduler.accounts[event.account]
        if self._scheduler.accept_permit(event):
            only_ref = event.reserved_for
            while (group := account.queue.peek()) is not None and only_ref in (None, group.ref):
                account.queue.pop()
                step = self._choose_step(group, event.now)
                if step is None:
                    group.move_to(Paused(group.state.batch))
                    self._groups.quarantine_if_stuck(group, event.now)
                else:
                    self._carry_out(group, step, event.now)
                if isinstance(step, Send) or only_ref is not None:
                    break
        self._scheduler.request_permits([event.account], event.now)

    def _choose_step(self, group: GroupState, now: float) -> Send | Park | Finish | None:
        """Decide what the group does with its turn; `None` when an operator has paused it."""
        if group.ref in self._paused_groups:
            return None
        partition = self._groups.partitions.get(group.partition)
        if partition is not None and partition.quiet_until > now:
            return Park(partition.quiet_until, group.state.batch)
        account = self._scheduler.accounts[group.ref.account]
        if group.bisect_size is not None and not group.bisect_call_reserved:
            group.bisect_call_reserved = True
            start_at = account.bisect_budget.reserve(now)
            if start_at > now:
                return Park(start_at, group.state.batch)
        return next_step(group, group.state.batch, account.policy, now, self._precautions(group))

    def _finish_call(self, event: CallFinished) -> None:
        flight = self._in_flight.pop(event.call_id, None)
        if flight is None:
            return
        group, name = flight.group, flight.group.ref.account
        outcome = self._scheduler.on_call_finished(
            group,
            event.outcome,
            event.now,
            event.jitter,
            sent_at=flight.state.sent_at,
            probe=flight.is_probe,
        )
        account = self._scheduler.accounts[name]
        group.bisect_call_reserved = False
        partition = self._groups.partitions.get(group.partition)
        if partition is not None and partition.groups.get(group.ref) is group:
            # For the group, the outcome may be milder than for its account.
            group_event = replace(event, outcome=outcome)
            decision = resolve(group, flight.state, group_event, account.policy, self.retry)
            if isinstance(decision, Queue) and isinstance(outcome, Applied | Refused):
                # Re-enqueue at the end: a group with endless work must not starve the others.
                self._groups.serial += 1
                self._groups.enqueue(group, self._groups.serial, decision.batch)
            elif isinstance(decision, Queue | Park) and group.throttled_until > event.now:
                until = decision.until if isinstance(decision, Park) else 0.0
                self._carry_out(group, Park(max(until, group.throttled_until), decision.batch), event.now)
            else:
                self._carry_out(group, decision, event.now)
        if isinstance(outcome, Unavailable) and account.breaker.notice is not None:
            account.awaiting_recovery[group] = None
        if flight.is_probe and isinstance(event.outcome, Applied | Refused):
            self._groups.resume(account.clear_fault())
        self._scheduler.request_permits([name], event.now)

    def _update_controls(self, event: ControlsUpdated) -> None:
        """Apply the current set of controls: pauses, resumes and breakers of other workers."""
        self._groups.resume(self._scheduler.update_controls(event))
        unpaused = self._paused_groups.keys() - event.controls.paused_groups.keys()
        self._paused_groups = event.controls.paused_groups
        resumed = {target for target in event.resumed if isinstance(target, GroupRef)}
        for number, partition in self._groups.partitions.items():
            for ref in unpaused | resumed:
                if ref in resumed:
                    self._groups.lift_quarantine(number, partition, ref, event.now)
                group = partition.groups.get(ref)
                if group is not None and (isinstance(group.state, Paused) or group.failures):
                    self._groups.resume([group])
        self._scheduler.request_permits(self._scheduler.accounts, event.now)

    def _carry_out(self, group: GroupState, decision: NextStep, now: float) -> None:
        match decision:
            case Send(batch, call, created_group):
                account = self._scheduler.accounts[group.ref.account]
                state = InFlight(batch, call, now)
                group.move_to(state)
                account.in_flight += 1
                self._groups.serial += 1
                self._in_flight[self._groups.serial] = _Flight(group, state, account.is_probing)
                if call.kind in CHANGING:
                    group.last_recorded_call = self._groups.serial
                is_cautious = self._precautions(group) is not None
                self._effects.append(
                    StartCall(
                        call_id=self._groups.serial,
                        partition=group.partition,
                        ref=group.ref,
                        call=call,
                        doubts=tuple(group.doubts),
                        expirable_keys=batch.expirable_keys,
                        created_group=created_group,
                        probe=account.is_probing,
                        digests=[command.digest for command in batch.commands] if is_cautious else (),
                        place=batch.calls_started if is_cautious else 0,
                    )
                )
            case Queue(batch):
                self._groups.enqueue(group, batch=batch)
            case Park(until, batch):
                self._groups.park(group, until, now, batch)
            case Finish():
                self._groups.finish_batch(group, decision, now)
            case _:
                assert_never(decision)
