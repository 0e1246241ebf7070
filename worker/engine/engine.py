"""The engine: events in, effects out. Its rules:

- **Permit, then cut.** A permit is asked for when a group is ready. Only when it is granted is the
  batch cut, merged and planned, so that everything that arrived meanwhile is in it.
- **A batch settles as a whole**, when the last of its calls is resolved.
- **In order.** A group has one call in flight, and commands leave its mailbox from the head only.
- **After a failure** the commands go back to the mailbox and the next batch is cut anew; what the
  vendor was told already is known, and is not said twice.
- **A refused batch is halved in order** until one command stands alone, which is rejected.
- **A create is never resent blindly**: the group is looked for first, until its absence is proof.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from worker.engine.accounts import Account, AccountPolicy
from worker.engine.admission import admit
from worker.engine.batches import next_step
from worker.engine.decisions import Decision, Finish, Park, Queue, Send
from worker.engine.mailbox import INHERITED, Mailbox, State
from worker.engine.memory import Partition
from worker.engine.messages import (
    CallFinished,
    Delivered,
    Drain,
    Effect,
    Event,
    LeaseLost,
    Owned,
    PermitGranted,
    Settle,
    StartCall,
    Tick,
    WakeAt,
    WantPermit,
)
from worker.engine.model import (
    CHANGING,
    AccountFault,
    Call,
    Command,
    Refusal,
    Throttled,
    Unavailable,
    Verdict,
    Withheld,
)
from worker.engine.outcomes import resolve
from worker.engine.retry_policy import RetryPolicy
from worker.engine.timers import Timers


@dataclass(slots=True, frozen=True)
class _InFlight:
    account: Account
    mailbox: Mailbox
    call: Call


@dataclass(slots=True)
class Engine:
    """One for a worker. `handle` never raises on what other programs sent."""

    policies: Mapping[str, AccountPolicy]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    linger_s: float = 0.0
    draining: bool = False
    _accounts: dict[str, Account] = field(init=False)
    _partitions: dict[int, Partition] = field(init=False, default_factory=dict)
    _in_flight: dict[int, _InFlight] = field(init=False, default_factory=dict)
    _timers: Timers = field(init=False, default_factory=Timers)
    _effects: list[Effect] = field(init=False, default_factory=list)
    _serial: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._accounts = {name: Account(policy) for name, policy in self.policies.items()}

    def waiting(self, partition: int) -> int:
        """How many answers the partition's commands in memory are owed: what counts against the credit."""
        return self._partitions[partition].waiting if partition in self._partitions else 0

    def handle(self, event: Event) -> list[Effect]:
        """Take one event in; the effects are to be carried out in order."""
        alarm = None if isinstance(event, Tick) else self._timers.next  # a tick uses it up, even too early
        match event:
            case Owned():
                self._inherit(event)
            case Delivered():
                self._deliver(event)
            case PermitGranted():
                self._use_permit(event)
            case CallFinished():
                self._finish_call(event)
            case Tick():
                self._wake(event.now)
            case LeaseLost():
                self._forget(event.partition)
            case Drain():
                self._drain(event.partition)
            case _:
                assert_never(event)
        if self._timers.next is not None and self._timers.next != alarm:
            self._effects.append(WakeAt(self._timers.next))
        effects, self._effects = self._effects, []
        return effects

    def _inherit(self, event: Owned) -> None:
        """Take in what the partition's last owner may have sent and nobody answered."""
        partition = self._partitions.setdefault(event.partition, Partition())
        partition.attempted.update(event.attempted)
        for ref, doubts in event.doubts.items():
            mailbox = partition.mailboxes[ref] = Mailbox(ref, event.partition, doubts=list(doubts))
            mailbox.recorded = INHERITED
            self._rest(mailbox, event.now)

    def _deliver(self, event: Delivered) -> None:
        partition = self._partitions.setdefault(event.partition, Partition())
        answered: list[Verdict | Refusal] = []
        touched: dict[str, None] = {}
        for item in event.items:
            partition.waiting += 1
            if isinstance(item, Refusal):
                answered.append(item)
                continue
            verdict = admit(item, partition, event.facts, self.policies)
            if verdict is not None:
                answered.append(verdict)
                if verdict.repeat_of is None and not verdict.conflict:
                    partition.remember(verdict, event.now)
            elif item.key not in partition.commands:
                self._enqueue(item, partition, event)
                touched[item.group.account] = None
        if answered:
            self._settle(partition, Settle(event.partition, answered, event.now))
        for name in touched:
            self._ask(name, event.now)

    def _enqueue(self, command: Command, partition: Partition, event: Delivered) -> None:
        mailbox = partition.mailboxes.get(command.group)
        if mailbox is None:
            mailbox = partition.mailboxes[command.group] = Mailbox(command.group, event.partition)
        if not mailbox.pending:
            mailbox.group_id = partition.group_id(command.group, event.facts)
            mailbox.made = partition.made.get(command.group)
        partition.take_sequence(command, event.facts)
        command.attempted = command.key in partition.attempted
        mailbox.take_intent(command, event.facts, bound=command.group in partition.bindings)
        self._serial += 1
        command.arrival = self._serial
        partition.commands[command.key] = command
        mailbox.pending.append(command)
        if mailbox.state is State.IDLE:
            if self.linger_s:
                self._act(mailbox, Park(event.now + self.linger_s))
            else:
                self._push(mailbox)

    def _use_permit(self, event: PermitGranted) -> None:
        account = self._accounts[event.account]
        account.permits_wanted -= 1
        if not self.draining and account.free_slots(event.now):
            while (mailbox := account.pop()) is not None:
                step = next_step(mailbox, account.policy, event.now)
                self._act(mailbox, step, event.now)
                if isinstance(step, Send):
                    break
        self._ask(event.account, event.now)

    def _finish_call(self, event: CallFinished) -> None:
        flight = self._in_flight.pop(event.call_id, None)
        if flight is None:
            return
        account, mailbox = flight.account, flight.mailbox
        account.in_flight -= 1
        if isinstance(event.outcome, Throttled):
            account.throttled(event.now, event.outcome.retry_after_s)
            self._timers.set(account.paused_until, None)
        elif isinstance(event.outcome, AccountFault):
            account.faulted(event.now)
            self._timers.set(account.paused_until, None)
        elif not isinstance(event.outcome, Unavailable | Withheld):
            account.answered()
        partition = self._partitions.get(mailbox.partition)
        if partition is not None and partition.mailboxes.get(mailbox.ref) is mailbox:
            decision = resolve(mailbox, flight.call, event, account.policy, self.retry)
            self._act(mailbox, decision, event.now)
        self._ask(mailbox.ref.account, event.now)

    def _act(self, mailbox: Mailbox, decision: Decision, now: float = 0.0) -> None:
        account = self._accounts[mailbox.ref.account]
        match decision:
            case Send(call, made):
                mailbox.state = State.IN_FLIGHT
                account.in_flight += 1
                self._serial += 1
                self._in_flight[self._serial] = _InFlight(account, mailbox, call)
                if call.kind in CHANGING:
                    mailbox.recorded = self._serial
                place, known = (mailbox.partition, mailbox.ref), tuple(mailbox.doubts)
                self._effects.append(StartCall(self._serial, *place, call, known, mailbox.perishable, made))
            case Queue():
                self._push(mailbox)
            case Park(until):
                mailbox.state = State.PARKED
                mailbox.wake_at = until
                self._timers.set(until, mailbox)
            case Finish():
                self._finish_batch(mailbox, decision, now)
            case _:
                assert_never(decision)

    def _finish_batch(self, mailbox: Mailbox, end: Finish, now: float) -> None:
        partition = self._partitions[mailbox.partition]
        for verdict in end.verdicts:
            del partition.commands[verdict.command.key]
            partition.attempted.discard(verdict.command.key)
            partition.remember(verdict, now)
        for ref, group_id in end.bindings.items():
            partition.bind(ref, group_id, mailbox.made)
            if group_id is None:
                mailbox.group_id = mailbox.created_by = mailbox.made = None
        calls_done = mailbox.forget_calls(now)
        settle = Settle(mailbox.partition, end.verdicts, now, end.bindings, end.intents_done, calls_done)
        self._settle(partition, settle)
        mailbox.take_settled()
        if mailbox.pending:
            self._push(mailbox)
        else:
            self._rest(mailbox, now)

    def _rest(self, mailbox: Mailbox, now: float) -> None:
        """Keep a mailbox without commands for as long as a call in doubt outlives them: those that come
        next must still wait for it."""
        mailbox.state = State.IDLE
        quiet_at = max((doubt.until for doubt in mailbox.doubts), default=0.0)
        if quiet_at > now:
            mailbox.wake_at = quiet_at
            self._timers.set(quiet_at, mailbox)
            return
        partition = self._partitions.get(mailbox.partition)
        if partition is None or partition.mailboxes.get(mailbox.ref) is not mailbox:
            return
        del partition.mailboxes[mailbox.ref]
        calls_done = mailbox.forget_calls(now)
        if calls_done:
            self._effects.append(Settle(mailbox.partition, [], now, calls_done=calls_done))

    def _settle(self, partition: Partition, effect: Settle) -> None:
        partition.waiting -= sum(
            1 if isinstance(verdict, Refusal) else len(verdict.command.origins) for verdict in effect.verdicts
        )
        self._effects.append(effect)

    def _wake(self, now: float) -> None:
        for mailbox in self._timers.due(now):
            if mailbox.wake_at > now:
                continue
            if mailbox.state is State.PARKED:
                self._push(mailbox)
            elif mailbox.state is State.IDLE and not mailbox.pending:
                self._rest(mailbox, now)
        for name in self._accounts:
            self._ask(name, now)

    def _push(self, mailbox: Mailbox) -> None:
        """Let the mailbox wait for its turn, if its partition has turns."""
        partition = self._partitions.get(mailbox.partition)
        if partition is not None and not partition.draining:
            self._accounts[mailbox.ref.account].push(mailbox)
        else:
            mailbox.state = State.IDLE

    def _drain(self, partition: int | None) -> None:
        if partition is None:
            self.draining = True
            return
        memory = self._partitions.setdefault(partition, Partition())
        memory.draining = True
        for mailbox in memory.mailboxes.values():
            if mailbox.state is State.READY:
                mailbox.state = State.IDLE
        for account in self._accounts.values():
            account.forget(partition)

    def _forget(self, partition: int) -> None:
        forgotten = self._partitions.pop(partition, None)
        for mailbox in forgotten.mailboxes.values() if forgotten else ():
            mailbox.state = State.IDLE
            mailbox.pending.clear()
        for account in self._accounts.values():
            account.forget(partition)

    def _ask(self, name: str, now: float) -> None:
        if self.draining:
            return
        account = self._accounts[name]
        for _ in range(account.permits_to_ask(now)):
            account.permits_wanted += 1
            self._effects.append(WantPermit(name))
