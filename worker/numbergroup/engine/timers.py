"""Who is to be woken when."""

import heapq
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)
_SPARE = 64


@dataclass(slots=True)
class Timers(Generic[T]):
    """Of a mailbox only the earliest time is kept: whoever is woken looks for himself, and says when he has
    to be woken next. There is never much more here than there are mailboxes with a timer."""

    _heap: list[tuple[float, int, T | None]] = field(default_factory=list)
    _earliest: dict[T, float] = field(default_factory=dict)
    _serial: int = 0

    def __len__(self) -> int:
        """How many are kept, those included that are of no use any more."""
        return len(self._heap)

    @property
    def next(self) -> float | None:
        """When the first one is due (Unix seconds)."""
        return self._heap[0][0] if self._heap else None

    def set(self, when: float, group: T | None) -> None:
        """Wake the mailbox at that time, if not before, or, without one, only the accounts."""
        if group is not None:
            if self._earliest.get(group, when + 1) <= when:
                return
            self._earliest[group] = when
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, group))
        if len(self._heap) > 2 * len(self._earliest) + _SPARE:
            self._heap = [one for one in self._heap if self._is_live(one[0], one[2])]
            heapq.heapify(self._heap)

    def drop(self, group: T) -> None:
        """It is gone: nobody is to be woken."""
        self._earliest.pop(group, None)

    def due(self, now: float) -> Iterator[T]:
        """The mailboxes whose time has come, in that order."""
        while self._heap and self._heap[0][0] <= now:
            when, _, group = heapq.heappop(self._heap)
            if group is not None and self._is_live(when, group):
                del self._earliest[group]
                yield group

    def _is_live(self, when: float, group: T | None) -> bool:
        return group is None or self._earliest.get(group) == when
