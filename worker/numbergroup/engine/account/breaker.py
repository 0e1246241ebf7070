"""The circuit breaker of an account: stops calls when most of them fail, and ramps up again afterwards.

    closed ──(most calls of several groups fail)──► open ──(a probe goes through)──► ramping ──► closed
                                                     ▲ │                               │
                                                     │ └─(the probe fails: longer)     │
                                                     └─────────(most calls fail)───────┘

A single failing group does not open it: that group parks, and no other waits. The caller supplies the time
(Unix seconds) and the jitter (0 to 1).
"""

import enum
from collections import deque
from dataclasses import dataclass, field

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.policy import BreakerNotice, BreakerPolicy

_CALLS_KEPT = 200
_NOTICE_VALID_S = 10.0
"""A notice is ignored if its probe time passed longer ago: its worker may have died."""


class BreakerState(enum.StrEnum):
    """Whether calls go out: all, only probes, or an increasing number."""

    CLOSED = "closed"
    OPEN = "open"
    RAMPING = "ramping"


@dataclass(slots=True)
class Breaker:
    """Counts the account's failed calls, and tells how many calls may be in flight."""

    policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    state: BreakerState = BreakerState.CLOSED
    until: float = 0.0
    """While open: when the next probe may go out. While ramping: when all slots are available again."""
    failures: int = 0
    """How often it opened in a row."""
    _ramp_from: float = 0.0
    _was_notified: bool = False
    """Whether the ledger had a notice when it was last read, since the breaker opened."""
    _calls: deque[tuple[float, GroupRef | None]] = field(default_factory=lambda: deque(maxlen=_CALLS_KEPT))
    """When each call ended, and its group if it failed."""

    @property
    def notice(self) -> BreakerNotice | None:
        """The notice for other workers; `None` unless the breaker is open."""
        return BreakerNotice(self.until, self.failures) if self.state is BreakerState.OPEN else None

    def count_slots(self, now: float, max_slots: int) -> int:
        """Return how many calls may be in flight, `max_slots` at most; while open, one probe."""
        match self.state:
            case BreakerState.CLOSED:
                return max_slots
            case BreakerState.OPEN:
                return 1 if now >= self.until else 0
            case BreakerState.RAMPING:
                return max_slots if now >= self.until else 1 + int((max_slots - 1) * self._ramp_progress(now))

    def on_success(self, now: float, jitter: float, *, probe: bool) -> None:
        """Record a call that the vendor answered, whatever the answer."""
        if self.state is BreakerState.OPEN:
            # Calls that were in flight when it opened do not count.
            if probe:
                self._ramp(now, jitter)
            return
        self._calls.append((now, None))
        self._end_ramp(now)

    def on_failure(self, ref: GroupRef, now: float, jitter: float, *, probe: bool) -> None:
        """Record a call that the vendor did not answer, or answered with unavailability."""
        if self.state is BreakerState.OPEN:
            if probe:
                self._open(now, jitter)
            return
        self._calls.append((now, ref))
        if self._most_fail(now):
            self._open(now, jitter)

    def on_notice(self, notice: BreakerNotice | None, now: float, jitter: float) -> None:
        """Follow the notice in the ledger (`None`: there is none).

        Another worker may have opened its breaker, or have closed it after a successful probe.
        """
        self._end_ramp(now)
        was_notified, self._was_notified = self._was_notified, notice is not None
        if notice is None:
            if was_notified and self.state is BreakerState.OPEN:
                self._ramp(now, jitter)
        elif self.state is not BreakerState.OPEN and notice.until > max(
            now - _NOTICE_VALID_S, self._ramp_from
        ):
            self.state = BreakerState.OPEN
            # The notice may arrive after its probe time. The jitter spreads the workers' probes.
            self.until = max(notice.until, now) + jitter
            self.failures = notice.failures
            self._calls.clear()

    def failure_share(self, now: float) -> float:
        """Return the share of failed calls among those in the policy's window, from 0 to 1."""
        calls = self._recent_calls(now)
        return sum(ref is not None for ref in calls) / len(calls) if calls else 0.0

    def _recent_calls(self, now: float) -> list[GroupRef | None]:
        return [ref for ended, ref in self._calls if ended > now - self.policy.window_s]

    def _most_fail(self, now: float) -> bool:
        policy, calls = self.policy, self._recent_calls(now)
        failing = [ref for ref in calls if ref is not None]
        is_ramping = self.state is BreakerState.RAMPING
        # The account was down a moment ago, so fewer failures suffice while ramping.
        min_failures = policy.least_groups if is_ramping else policy.least_failures
        return (
            len(failing) >= min_failures
            and len(failing) >= policy.share * len(calls)
            and len(set(failing)) >= policy.least_groups
        )

    def _open(self, now: float, jitter: float) -> None:
        self.state, self._was_notified = BreakerState.OPEN, False
        self.failures += 1
        shortest, longest = self.policy.open_s
        wait = min(longest, shortest * 2.0 ** min(self.failures - 1, 30))
        # The jitter shortens the wait by half at most.
        self.until = now + wait * (1 + jitter) / 2
        self._calls.clear()

    def _ramp(self, now: float, jitter: float) -> None:
        self.state = BreakerState.RAMPING
        self._ramp_from = now
        self.until = now + self.policy.ramp_s * (1 + jitter) / 2
        self._calls.clear()

    def _end_ramp(self, now: float) -> None:
        if self.state is BreakerState.RAMPING and now >= self.until:
            self.state = BreakerState.CLOSED
            self.failures = 0

    def _ramp_progress(self, now: float) -> float:
        return max(0.0, (now - self._ramp_from) / (self.until - self._ramp_from))
