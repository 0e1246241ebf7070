"""Timers: which group is to be woken when."""

import heapq
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)
_SPARE = 64


@dataclass(slots=True)
class Timers(Generic[T]):
    """A queue of wake-up times, in Unix seconds.

    Only the earliest time of each group counts. A group that was woken checks its own state, and schedules
    its next time if it needs one. Outdated times stay in the heap until they are about half of it.
    """

    _heap: list[tuple[float, int, T | None]] = field(default_factory=list)
    _earliest: dict[T, float] = field(default_factory=dict)
    _serial: int = 0

    def __len__(self) -> int:
        """Return the number of stored times, including outdated ones."""
        return len(self._heap)

    @property
    def next_due(self) -> float | None:
        """The earliest stored time; `None` without one."""
        return self._heap[0][0] if self._heap else None

    def schedule(self, when: float, group: T | None) -> None:
        """Wake the group at this time or before. Without a group, only `next_due` changes."""
        if group is not None:
            if self._earliest.get(group, when + 1) <= when:
                return
            self._earliest[group] = when
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, group))
        if len(self._heap) > 2 * len(self._earliest) + _SPARE:
            self._heap = [timer for timer in self._heap if self._is_live(timer[0], timer[2])]
            heapq.heapify(self._heap)

    def cancel(self, group: T) -> None:
        """Cancel the timer of a group that no longer exists."""
        self._earliest.pop(group, None)

    def pop_due(self, now: float) -> Iterator[T]:
        """Remove the due timers and yield their groups, the earliest first."""
        while self._heap and self._heap[0][0] <= now:
            when, _, group = heapq.heappop(self._heap)
            if group is not None and self._is_live(when, group):
                del self._earliest[group]
                yield group

    def _is_live(self, when: float, group: T | None) -> bool:
        return group is None or self._earliest.get(group) == when
