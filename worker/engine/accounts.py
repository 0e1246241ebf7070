"""Accounts: who may be called next, and when.

Slots and permits belong to the account. A permit is asked for only when a group is ready to use it,
and it goes to the group whose oldest command has waited longest.
"""

import heapq
from dataclasses import dataclass, field

from worker.engine.mailbox import Mailbox, State
from worker.engine.model import CommandKind

_FAULT_PAUSE_S = (5.0, 60.0)
_THROTTLE_PAUSE_S = (1.0, 60.0)
_LONGEST_RETRY_AFTER_S = 3600.0


@dataclass(slots=True, frozen=True)
class AccountPolicy:
    """What an account's provider can do, and its limits.

    `marker`: whether a create may carry its marker in the group's remark.
    """

    numbers_per_call: int
    max_in_flight: int
    supports: frozenset[CommandKind]
    marker: bool = True
    number_expiry: bool = False


@dataclass(slots=True)
class Account:
    policy: AccountPolicy
    ready: list[tuple[int, int, Mailbox]] = field(default_factory=list)
    in_flight: int = 0
    permits_wanted: int = 0
    paused_until: float = 0.0
    throttles: int = 0
    faults: int = 0
    _tie: int = 0

    def push(self, mailbox: Mailbox) -> None:
        """Let the mailbox wait for its turn."""
        mailbox.state = State.READY
        self._tie += 1
        heapq.heappush(self.ready, (mailbox.order, self._tie, mailbox))

    def pop(self) -> Mailbox | None:
        """The ready mailbox whose oldest command has waited longest."""
        while self.ready:
            order, _, mailbox = heapq.heappop(self.ready)
            # A mailbox that was settled, parked or forgotten since leaves a stale place in line.
            if mailbox.state is State.READY and mailbox.pending and mailbox.order == order:
                return mailbox
        return None

    def forget(self, partition: int) -> None:
        """Drop what waits of this partition, so that no permit is asked for it."""
        self.ready = [place for place in self.ready if place[2].partition != partition]
        heapq.heapify(self.ready)

    def free_slots(self, now: float) -> int:
        """How many more calls may be in flight."""
        if now < self.paused_until:
            return 0
        # After a fault of the account one call goes ahead of the others, to see whether it is mended.
        slots = 1 if self.faults else self.policy.max_in_flight
        return max(0, slots - self.in_flight)

    def permits_to_ask(self, now: float) -> int:
        """How many more permits there is a use for."""
        return max(0, min(len(self.ready), self.free_slots(now)) - self.permits_wanted)

    def throttled(self, now: float, retry_after_s: float | None) -> None:
        """Stop asking for permits for as long as the vendor said, or longer each time if it did not."""
        # Calls that were in flight together are one occasion, however many of them were turned away.
        if now >= self.paused_until or not self.throttles:
            self.throttles += 1
        least, most = _THROTTLE_PAUSE_S
        pause = (
            min(most, least * 2.0 ** min(self.throttles - 1, 30)) if retry_after_s is None else retry_after_s
        )
        self.paused_until = max(self.paused_until, now + min(max(pause, 0.0), _LONGEST_RETRY_AFTER_S))

    def faulted(self, now: float) -> None:
        """Stop asking for permits, and probe now and then."""
        if now >= self.paused_until or not self.faults:
            self.faults += 1
        least, most = _FAULT_PAUSE_S
        self.paused_until = max(self.paused_until, now + min(most, least * 2.0 ** min(self.faults - 1, 30)))

    def answered(self) -> None:
        """The vendor spoke to us normally: no pause grows any longer."""
        self.throttles = 0
        self.faults = 0
