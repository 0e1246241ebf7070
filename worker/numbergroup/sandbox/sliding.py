"""Counts and limits calls in a sliding second. Pure: the time is an argument."""

from collections import deque

_SECOND_MS = 1000


class SlidingSecond:
    """Counts the calls within the last 1,000 ms. A call exactly 1,000 ms ago is not counted.

    A time earlier than the latest one is treated as the latest, so that setting the clock back frees nothing.
    """

    def __init__(self) -> None:
        self._times_ms: deque[int] = deque()
        self._latest_ms = 0

    def add(self, now_ms: int) -> int:
        """Counts one call, and returns the number of calls in the second that ends at `now_ms`."""
        self.count(now_ms)
        self._times_ms.append(self._latest_ms)
        return len(self._times_ms)

    def count(self, now_ms: int) -> int:
        """Returns the number of calls in the second that ends at `now_ms`."""
        self._latest_ms = max(self._latest_ms, now_ms)
        while self._times_ms and self._times_ms[0] <= self._latest_ms - _SECOND_MS:
            self._times_ms.popleft()
        return len(self._times_ms)


class Cap:
    """Admits at most `per_second` calls in any sliding second. Refused calls are not counted."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._admitted = SlidingSecond()

    def admit(self, now_ms: int) -> bool:
        """Returns whether a call at `now_ms` is admitted, and counts it if so."""
        if self._admitted.count(now_ms) >= self._per_second:
            return False
        self._admitted.add(now_ms)
        return True
