"""Accounts: who may be called next, and when.

Slots and permits belong to the account. A permit is asked for only when a group is ready to use it, and it
goes to the group whose oldest command has waited longest; a group whose batch needs several calls gets in
line anew after each, so that one with endless work takes turns with the others. A group whose call stopped
the account (throttled, a fault of the account) lets all others go first that wait, when one of them is
answered normally.

While the vendor is known to be in trouble (its breaker is open, or it refused the account's credentials),
one call at a time goes out now and then: a probe.
"""

import heapq
from collections import Counter
from dataclasses import dataclass, field

from numbergroup.engine.account.breaker import Breaker, BreakerState
from numbergroup.engine.account.budget import Budget
from numbergroup.engine.commands import (
    AccountFault,
    Outcome,
    Refused,
    Throttled,
    Unavailable,
    Withheld,
)
from numbergroup.engine.group.state import GroupState, Phase
from numbergroup.engine.policy import LONGEST_RETRY_AFTER_S, AccountPolicy

_FAULT_PAUSE_S = (5.0, 60.0)
_THROTTLE_PAUSE_S = (1.0, 60.0)
_ALONE_MOST_S, _ALONE_MOST_PAUSES = 60.0, 10.0
"""The longest wait of a group that alone is throttled: the larger one of a time, and of so many pauses."""
_YIELDING = -1
"""The turn of a group that lets others go first."""


@dataclass(slots=True)
class Account:
    policy: AccountPolicy
    ready: list[tuple[int, int, GroupState]] = field(default_factory=list)
    in_flight: int = 0
    permits_wanted: int = 0
    probes_wanted: int = 0
    pause_reason: str | None = None
    """Why an operator has paused it."""
    throttled_until: float = 0.0
    fault_until: float = 0.0
    probe_denied_until: float = 0.0
    """Another worker is probing: it is asked again then."""
    throttle_count: int = 0
    fault_count: int = 0
    fault: AccountFault | None = None
    answer_count: int = 0
    """How many calls the vendor has answered normally."""
    served_at: float = 0.0
    """When the latest call that was answered normally was sent."""
    awaiting_recovery: dict[GroupState, None] = field(default_factory=dict)
    """Groups that met trouble of the account, and wait for it to be over."""
    yielding: dict[GroupState, None] = field(default_factory=dict)
    """Ready groups whose call stopped the account; no call that was sent after it was answered normally yet.
    Any other group goes first. The one that was stopped longest ago is the first of them."""
    breaker: Breaker = field(init=False)
    bisect_budget: Budget = field(init=False)
    outcomes: Counter[str] = field(default_factory=Counter)
    _tie: int = 0
    _last_turn: int = 0

    def __post_init__(self) -> None:
        self.breaker = Breaker(self.policy.breaker)
        self.bisect_budget = Budget(self.policy.isolation_per_second)

    def enqueue(self, group: GroupState, turn: int | None = None) -> None:
        """Let the mailbox wait for its turn; without one, by its oldest command, or if its last call stopped
        the account, behind all that wait."""
        group.phase = Phase.READY
        self.yielding.pop(group, None)
        if group.stopped_account_at is not None and self.served_at <= group.stopped_account_at:
            group.queue_position = _YIELDING
            self.yielding[group] = None
            return
        if turn is None:
            turn = group.oldest_arrival if group.stopped_account_at is None else self._last_turn
        group.queue_position, self._last_turn = turn, max(turn, self._last_turn)
        self._tie += 1
        heapq.heappush(self.ready, (group.queue_position, self._tie, group))

    def peek(self) -> GroupState | None:
        """The ready mailbox whose turn it is."""
        while self.ready:
            turn, _, group = self.ready[0]
            # A mailbox that was settled, parked or forgotten since leaves a stale place in line.
            if group.phase is Phase.READY and group.pending and group.queue_position == turn:
                return group
            heapq.heappop(self.ready)
        while self.yielding:
            group = next(iter(self.yielding))
            if group.phase is Phase.READY and group.pending:
                return group
            del self.yielding[group]
        return None

    def pop(self) -> GroupState | None:
        """The same, which stands in line no longer."""
        group = self.peek()
        if group is None:
            return None
        if group.queue_position == _YIELDING:
            del self.yielding[group]
        else:
            heapq.heappop(self.ready)
        return group

    @property
    def ready_count(self) -> int:
        """How many groups are in line, and perhaps some that no longer are."""
        return len(self.ready) + len(self.yielding)

    def forget_partition(self, partition: int) -> None:
        """Drop what waits of this partition, so that no permit is asked for it."""
        self.ready = [place for place in self.ready if place[2].partition != partition]
        heapq.heapify(self.ready)
        for some in (self.awaiting_recovery, self.yielding):
            for group in [group for group in some if group.partition == partition]:
                del some[group]

    @property
    def paused_until(self) -> float:
        """No call is made before."""
        return max(self.throttled_until, self.fault_until)

    @property
    def is_probing(self) -> bool:
        """Whether the next call is to find out if calls work again."""
        return bool(self.fault_count) or self.breaker.state is BreakerState.OPEN

    @property
    def is_down(self) -> bool:
        """Whether none of its calls can be made, for who knows how long."""
        return self.is_probing or self.pause_reason is not None

    def may_call(self, now: float) -> bool:
        """Whether calls that are no probe may go out: nobody has said that they must wait."""
        return not self.is_down and now >= self.paused_until

    def is_throttled(self, now: float) -> bool:
        """Whether the vendor asked to wait, and the time is not over."""
        return now < self.throttled_until

    def may_retry(self, now: float) -> bool:
        """Whether a call that failed may be sent again within its permit.

        Normal answers to calls that were sent before the vendor asked to wait do not shorten the wait.
        """
        return self.is_healthy and now >= self.paused_until

    @property
    def is_healthy(self) -> bool:
        """Whether nothing holds its calls up: what a group waits for is its own trouble then."""
        return not (self.is_down or self.throttle_count)

    def free_slots(self, now: float) -> int:
        """How many more calls may be in flight."""
        if self.pause_reason is not None or now < max(self.paused_until, self.probe_denied_until):
            return 0
        slots = self.breaker.count_slots(now, self.policy.max_in_flight)
        return max(0, min(slots, 1 if self.fault_count else slots) - self.in_flight)

    def permits_to_request(self, now: float) -> int:
        """How many more permits there is a use for; one for a probe, if it is `probing`."""
        asked = self.probes_wanted if self.is_probing else self.permits_wanted
        return max(0, min(self.ready_count, self.free_slots(now)) - asked)

    def on_call_finished(
        self, group: GroupState, outcome: Outcome, now: float, jitter: float, *, probe: bool
    ) -> Outcome:
        """Take in how a call of the mailbox's ended; what that means for its group.

        A fault of the account that only this group meets, while others are answered, is the group's own.
        """
        self.in_flight -= 1
        self.outcomes[type(outcome).__name__.lower()] += 1
        match outcome:
            case Withheld() | Unavailable(ours=True):
                return outcome
            case Unavailable():
                self.breaker.on_failure(group.ref, now, jitter, probe=probe)
                if outcome.whole_service and outcome.retry_after_s:
                    self._wait(now, outcome.retry_after_s)
                    self._stopped_by(group, now)
                return outcome
            case Throttled():
                self._throttled(now, outcome.retry_after_s)
                self._stopped_by(group, now)
            case AccountFault() if (
                group.answers_at_fault is not None and self.answer_count > group.answers_at_fault
            ):
                group.answers_at_fault = self.answer_count
                self.breaker.on_success(now, jitter, probe=probe)
                return Unavailable(
                    outcome.message, outcome.in_doubt, outcome.code, retry_after_s=outcome.retry_after_s
                )
            case AccountFault():
                group.answers_at_fault = self.answer_count
                self._faulted(now, outcome)
                group.stopped_account_at = now
            case _:
                group.answers_at_fault = group.stopped_account_at = None
                group.lone_throttles = 0
                self.throttle_count = 0
                self._served(group.sent_at)
                if probe or not self.fault_count:
                    # What was on its way when the fault came up says nothing about now.
                    self.answer_count += 1
                if probe and isinstance(outcome, Refused) and not outcome.certain:
                    # One try says too little about a code that nobody knows.
                    outcome = Withheld()
        self.breaker.on_success(now, jitter, probe=probe)
        return outcome

    def clear_fault(self) -> list[GroupState]:
        """No fault holds the account up any more; who waited for that."""
        self.fault_count, self.fault, self.fault_until = 0, None, 0.0
        return self.release_waiting()

    def release_waiting(self) -> list[GroupState]:
        """Those who waited for the account's trouble to be over need not wait for their own time as well."""
        waiting, self.awaiting_recovery = [*self.awaiting_recovery], {}
        return waiting

    def _served(self, sent_at: float) -> None:
        """Take in that a call that was sent then was answered normally: groups that let others go first get
        in line behind those that wait."""
        if sent_at <= self.served_at:
            return
        self.served_at = sent_at
        for group in [*self.yielding]:
            if group.phase is Phase.READY:
                self.enqueue(group)

    def _stopped_by(self, group: GroupState, now: float) -> None:
        """Take in that a call of the mailbox's made the vendor ask to wait.

        It may be for this group alone: where the vendor asks again, and has answered calls normally that were
        sent in between, the group waits longer than the account, and for longer each time.
        """
        if group.stopped_account_at is not None and self.served_at > group.stopped_account_at:
            group.lone_throttles += 1
        group.stopped_account_at = now
        if group.lone_throttles:
            pause_s = max(self.throttled_until - now, _THROTTLE_PAUSE_S[0])
            most_s = max(_ALONE_MOST_S, _ALONE_MOST_PAUSES * pause_s)
            group.throttled_until = now + min(most_s, pause_s * 2.0 ** min(group.lone_throttles, 30))

    def _throttled(self, now: float, retry_after_s: float | None) -> None:
        """Stop asking for permits for as long as the vendor said, or longer each time if it did not."""
        # Calls that were in flight together are one occasion, however many of them were turned away.
        if now >= self.throttled_until or not self.throttle_count:
            self.throttle_count += 1
        least, most = _THROTTLE_PAUSE_S
        pause = min(most, least * 2.0 ** min(self.throttle_count - 1, 30))
        if retry_after_s is not None:
            # Who says again and again that there is nothing to wait for is not believed.
            pause = retry_after_s if self.throttle_count == 1 else max(retry_after_s, pause / 2)
        self.throttled_until = max(self.throttled_until, now + min(max(pause, 0.0), LONGEST_RETRY_AFTER_S))

    def _wait(self, now: float, retry_after_s: float) -> None:
        """Stop asking for permits for as long as the vendor said: it is the whole service that fails."""
        self.throttle_count = max(self.throttle_count, 1)
        self.throttled_until = max(self.throttled_until, now + min(retry_after_s, LONGEST_RETRY_AFTER_S))

    def _faulted(self, now: float, fault: AccountFault) -> None:
        """Stop asking for permits, and probe now and then."""
        self.fault = fault
        if now >= self.fault_until or not self.fault_count:
            self.fault_count += 1
        least, most = _FAULT_PAUSE_S
        pause = min(most, least * 2.0 ** min(self.fault_count - 1, 30))
        pause = max(pause, min(fault.retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))
        self.fault_until = max(self.fault_until, now + pause)
