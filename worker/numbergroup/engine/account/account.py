"""One account: its health, and when its calls must wait.

Slots and permits belong to the account. A permit is requested only when a group is ready to use it; which
group gets it is decided by the `GroupQueue`. While the breaker is open or the vendor refuses the account's
credentials, only probes go out, one at a time.
"""

from collections import Counter
from dataclasses import dataclass, field

from numbergroup.engine.account.breaker import Breaker, BreakerState
from numbergroup.engine.account.budget import Budget
from numbergroup.engine.account.group_queue import GroupQueue
from numbergroup.engine.calls import AccountFault, Outcome, Refused, Throttled, Unavailable, Withheld
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.policy import MAX_RETRY_AFTER_S, AccountPolicy

_FAULT_PAUSE_S = (5.0, 60.0)
"""First and longest pause after a fault of the account, in seconds."""
_THROTTLE_PAUSE_S = (1.0, 60.0)
"""First and longest pause after a throttled call without `Retry-After`, in seconds."""
_MAX_LONE_WAIT_S, _MAX_LONE_WAIT_PAUSES = 60.0, 10.0
"""Longest wait of a group that alone is throttled: the larger of these seconds and these account pauses."""


@dataclass(slots=True)
class Account:
    """The queue, health, breaker and budgets of one account."""

    policy: AccountPolicy
    queue: GroupQueue = field(default_factory=GroupQueue)
    in_flight: int = 0
    permits_wanted: int = 0
    probes_wanted: int = 0
    pause_reason: str | None = None
    """Why an operator has paused it."""
    throttled_until: float = 0.0
    fault_until: float = 0.0
    probe_denied_until: float = 0.0
    """No probe is requested before: another worker is probing."""
    throttle_count: int = 0
    fault_count: int = 0
    fault: AccountFault | None = None
    answer_count: int = 0
    """Number of calls that the vendor answered normally."""
    awaiting_recovery: dict[GroupState, None] = field(default_factory=dict)
    """Groups whose call failed while the breaker was open; they are queued when the account recovers."""
    breaker: Breaker = field(init=False)
    bisect_budget: Budget = field(init=False)
    outcomes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.breaker = Breaker(self.policy.breaker)
        self.bisect_budget = Budget(self.policy.isolation_per_second)

    def forget_partition(self, partition: int) -> None:
        """Remove the partition's groups."""
        self.queue.forget_partition(partition)
        for group in [group for group in self.awaiting_recovery if group.partition == partition]:
            del self.awaiting_recovery[group]

    @property
    def paused_until(self) -> float:
        """Until when no call is made."""
        return max(self.throttled_until, self.fault_until)

    @property
    def is_probing(self) -> bool:
        """Whether the next call is a probe: it finds out if calls work again."""
        return bool(self.fault_count) or self.breaker.state is BreakerState.OPEN

    @property
    def is_down(self) -> bool:
        """Whether normal calls are impossible for an unknown time."""
        return self.is_probing or self.pause_reason is not None

    def may_call(self, now: float) -> bool:
        """Whether normal calls (not probes) may be made."""
        return not self.is_down and now >= self.paused_until

    def is_throttled(self, now: float) -> bool:
        """Whether a wait that the vendor requested is still running."""
        return now < self.throttled_until

    def may_retry(self, now: float) -> bool:
        """Whether a failed call may be sent again within its permit.

        Normal answers to calls that were sent before the vendor requested a wait do not shorten it.
        """
        return self.is_well and now >= self.paused_until

    @property
    def is_well(self) -> bool:
        """Whether the account is neither down nor throttled: then a failing group has a fault of its own."""
        return not (self.is_down or self.throttle_count)

    def free_slots(self, now: float) -> int:
        """Return how many more calls may be in flight."""
        if self.pause_reason is not None or now < max(self.paused_until, self.probe_denied_until):
            return 0
        slots = self.breaker.count_slots(now, self.policy.max_in_flight)
        return max(0, min(slots, 1 if self.fault_count else slots) - self.in_flight)

    def permits_to_request(self, now: float) -> int:
        """Return how many more permits the account can use now; while it is probing, for probes."""
        requested = self.probes_wanted if self.is_probing else self.permits_wanted
        return max(0, min(len(self.queue), self.free_slots(now)) - requested)

    def on_call_finished(
        self, group: GroupState, outcome: Outcome, now: float, jitter: float, *, sent_at: float, probe: bool
    ) -> Outcome:
        """Update the account after a call of the group; return the outcome as it counts for the group.

        A fault of the account that only this group meets, while others are answered normally, counts as the
        group's own failure.
        """
        self.in_flight -= 1
        self.outcomes[type(outcome).__name__.lower()] += 1
        match outcome:
            case Withheld() | Unavailable(is_local=True):
                return outcome
            case Unavailable():
                self.breaker.on_failure(group.ref, now, jitter, probe=probe)
                if outcome.whole_service and outcome.retry_after_s:
                    self._pause_whole_service(now, outcome.retry_after_s)
                    self._on_stopped_by(group, now)
                return outcome
            case Throttled():
                self._pause_throttled(now, outcome.retry_after_s)
                self._on_stopped_by(group, now)
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
                self._pause_faulted(now, outcome)
                group.stopped_account_at = now
            case _:
                group.answers_at_fault = group.stopped_account_at = None
                group.lone_throttles = 0
                self.throttle_count = 0
                self.queue.note_served(sent_at)
                if probe or not self.fault_count:
                    # Answers to calls that were in flight when the fault began do not count.
                    self.answer_count += 1
                if probe and isinstance(outcome, Refused) and not outcome.certain:
                    # A single probe proves too little about an unknown code.
                    outcome = Withheld()
        self.breaker.on_success(now, jitter, probe=probe)
        return outcome

    def clear_fault(self) -> list[GroupState]:
        """Clear the account's fault; return the groups that waited for it."""
        self.fault_count, self.fault, self.fault_until = 0, None, 0.0
        return self.release_waiting()

    def release_waiting(self) -> list[GroupState]:
        """Return, once, the groups that waited for the account to recover: they can be queued at once."""
        waiting, self.awaiting_recovery = [*self.awaiting_recovery], {}
        return waiting

    def _on_stopped_by(self, group: GroupState, now: float) -> None:
        """Record that the vendor requested a wait in answer to a call of the group.

        The wait may concern only this group: if other calls were answered normally since its last one, the
        group waits longer than the account, and longer each time.
        """
        if group.stopped_account_at is not None and self.queue.served_at > group.stopped_account_at:
            group.lone_throttles += 1
        group.stopped_account_at = now
        if group.lone_throttles:
            pause_s = max(self.throttled_until - now, _THROTTLE_PAUSE_S[0])
            longest_s = max(_MAX_LONE_WAIT_S, _MAX_LONE_WAIT_PAUSES * pause_s)
            group.throttled_until = now + min(longest_s, pause_s * 2.0 ** min(group.lone_throttles, 30))

    def _pause_throttled(self, now: float, retry_after_s: float | None) -> None:
        """Pause for the time that the vendor named; if it named none, longer each time."""
        # Calls that were in flight together count once, however many of them were throttled.
        if now >= self.throttled_until or not self.throttle_count:
            self.throttle_count += 1
        shortest, longest = _THROTTLE_PAUSE_S
        pause = min(longest, shortest * 2.0 ** min(self.throttle_count - 1, 30))
        if retry_after_s is not None:
            # A repeated `Retry-After: 0` is distrusted.
            pause = retry_after_s if self.throttle_count == 1 else max(retry_after_s, pause / 2)
        self.throttled_until = max(self.throttled_until, now + min(max(pause, 0.0), MAX_RETRY_AFTER_S))

    def _pause_whole_service(self, now: float, retry_after_s: float) -> None:
        """Pause for the time that the vendor named, because its whole service fails."""
        self.throttle_count = max(self.throttle_count, 1)
        self.throttled_until = max(self.throttled_until, now + min(retry_after_s, MAX_RETRY_AFTER_S))

    def _pause_faulted(self, now: float, fault: AccountFault) -> None:
        """Pause after a fault of the account, longer each time; then probe."""
        self.fault = fault
        if now >= self.fault_until or not self.fault_count:
            self.fault_count += 1
        shortest, longest = _FAULT_PAUSE_S
        pause = min(longest, shortest * 2.0 ** min(self.fault_count - 1, 30))
        pause = max(pause, min(fault.retry_after_s or 0.0, MAX_RETRY_AFTER_S))
        self.fault_until = max(self.fault_until, now + pause)
