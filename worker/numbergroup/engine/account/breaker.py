"""The breaker of an account: it stops calls when most of them fail, and lets them come back one by one.

    closed ──(most calls of several groups fail)──► open ──(a probe goes through)──► ramping ──► closed
                                                     ▲ │                               │
                                                     │ └─(the probe fails: longer)     │
                                                     └─────────(most calls fail)───────┘

One group whose calls fail is that group's trouble: it parks, and nobody else waits for it. Time and jitter
are arguments: this module has neither.
"""

import enum
from collections import deque
from dataclasses import dataclass, field

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.policy import BreakerNotice, BreakerPolicy

_CALLS_KEPT = 200
_LATELY_S = 10.0
"""A notice whose time has been over for longer is not believed: who left it may be dead."""


class BreakerState(enum.StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    RAMPING = "ramping"


@dataclass(slots=True)
class Breaker:
    policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    state: BreakerState = BreakerState.CLOSED
    until: float = 0.0
    """Open: when the next probe may go out. Ramping: when all slots are back."""
    failures: int = 0
    _ramp_from: float = 0.0
    _told: bool = False
    """Whether the ledger was seen to have a notice since it opened."""
    _calls: deque[tuple[float, GroupRef | None]] = field(default_factory=lambda: deque(maxlen=_CALLS_KEPT))
    """When each call ended, and of which group it was if it failed."""

    @property
    def notice(self) -> BreakerNotice | None:
        """What the other workers are to know."""
        return BreakerNotice(self.until, self.failures) if self.state is BreakerState.OPEN else None

    def count_slots(self, now: float, most: int) -> int:
        """How many calls may be in flight; while it is open, one that probes."""
        match self.state:
            case BreakerState.CLOSED:
                return most
            case BreakerState.OPEN:
                return 1 if now >= self.until else 0
            case BreakerState.RAMPING:
                return most if now >= self.until else 1 + int((most - 1) * self._ramped(now))

    def on_success(self, now: float, jitter: float, *, probe: bool) -> None:
        """The vendor answered, whatever it said."""
        if self.state is BreakerState.OPEN:
            # What was on its way when it opened says nothing about now.
            if probe:
                self._ramp(now, jitter)
            return
        self._calls.append((now, None))
        self._end_ramp(now)

    def on_failure(self, ref: GroupRef, now: float, jitter: float, *, probe: bool) -> None:
        """The vendor did not answer, or said that it cannot."""
        if self.state is BreakerState.OPEN:
            if probe:
                self._open(now, jitter)
            return
        self._calls.append((now, ref))
        if self._most_fail(now):
            self._open(now, jitter)

    def on_notice(self, notice: BreakerNotice | None, now: float, jitter: float) -> None:
        """What the ledger says: another worker may have opened it, or have seen the vendor come back."""
        self._end_ramp(now)
        seen, self._told = self._told, notice is not None
        if notice is None:
            if seen and self.state is BreakerState.OPEN:
                self._ramp(now, jitter)
        elif self.state is not BreakerState.OPEN and notice.until > max(now - _LATELY_S, self._ramp_from):
            self.state = BreakerState.OPEN
            # Its first waits are shorter than it takes to hear of them. And not at the same moment as others.
            self.until = max(notice.until, now) + jitter
            self.failures = notice.failures
            self._calls.clear()

    def failure_share(self, now: float) -> float:
        """Of the calls that ended lately, how many failed, from 0 to 1."""
        calls = self._lately(now)
        return sum(ref is not None for ref in calls) / len(calls) if calls else 0.0

    def _lately(self, now: float) -> list[GroupRef | None]:
        return [ref for ended, ref in self._calls if ended > now - self.policy.window_s]

    def _most_fail(self, now: float) -> bool:
        policy, calls = self.policy, self._lately(now)
        failing = [ref for ref in calls if ref is not None]
        ramping = self.state is BreakerState.RAMPING
        # It has just been down: two groups are enough to see that it still is.
        least = policy.least_groups if ramping else policy.least_failures
        return (
            len(failing) >= least
            and len(failing) >= policy.share * len(calls)
            and len(set(failing)) >= policy.least_groups
        )

    def _open(self, now: float, jitter: float) -> None:
        self.state, self._told = BreakerState.OPEN, False
        self.failures += 1
        least, most = self.policy.open_s
        wait = min(most, least * 2.0 ** min(self.failures - 1, 30))
        # Never at once: half of it is certain.
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

    def _ramped(self, now: float) -> float:
        return max(0.0, (now - self._ramp_from) / (self.until - self._ramp_from))
