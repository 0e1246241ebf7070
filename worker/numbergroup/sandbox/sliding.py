"""Counting calls in the second that ends now. Pure: the time is an argument."""

from collections import deque

_SECOND_MS = 1000


class SlidingSecond:
    """How many calls fell into the last 1,000 ms, the present one included, the 1,000th ago excluded.

    A time earlier than one already seen counts as that one, so a clock that steps back frees nothing.
    """

    def __init__(self) -> None:
        self._times_ms: deque[int] = deque()
        self._latest_ms = 0

    def add(self, now_ms: int) -> int:
        """Counts one call, and returns the number of calls in the second that ends with it."""
        self.count(now_ms)
        self._times_ms.append(self._latest_ms)
        return len(self._times_ms)

    def count(self, now_ms: int) -> int:
        self._latest_ms = max(self._latest_ms, now_ms)
        while self._times_ms and self._times_ms[0] <= self._latest_ms - _SECOND_MS:
            self._times_ms.popleft()
        return len(self._times_ms)


class Cap:
    """Lets at most `per_second` calls through in any sliding second. A call refused does not use it up."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._admitted = SlidingSecond()

    def admits(self, now_ms: int) -> bool:
        if self._admitted.count(now_ms) >= self._per_second:
            return False
        self._admitted.add(now_ms)
        return True
