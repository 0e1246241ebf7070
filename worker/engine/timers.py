"""Who is to be woken when."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.engine.mailbox import Mailbox


@dataclass(slots=True)
class Timers:
    """A timer that is of no use any more stays until it is due: whoever is woken looks for himself."""

    _heap: list[tuple[float, int, Mailbox | None]] = field(default_factory=list)
    _serial: int = 0

    @property
    def next(self) -> float | None:
        """When the first one is due (Unix seconds)."""
        return self._heap[0][0] if self._heap else None

    def set(self, when: float, mailbox: Mailbox | None) -> None:
        """Wake the mailbox at that time, or, without one, only the accounts."""
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, mailbox))

    def due(self, now: float) -> Iterator[Mailbox]:
        """The mailboxes whose time has come, in that order."""
        while self._heap and self._heap[0][0] <= now:
            mailbox = heapq.heappop(self._heap)[2]
            if mailbox is not None:
                yield mailbox
