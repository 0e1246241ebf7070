"""A budget of calls for one purpose, so that it leaves room for the others."""

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """`per_second` calls in the long run, `burst` of them at once. It grants in the order of asking.

    Source: the generic cell rate algorithm (ITU-T I.371).
    """

    per_second: float = math.inf
    burst: int = 20
    spent: int = 0
    _next: float = -math.inf

    def reserve(self, now: float) -> float:
        """When the next call may be made (Unix seconds, `now` at the earliest); it is counted by this."""
        interval = 1 / self.per_second
        start = max(self._next, now - (self.burst - 1) * interval)
        self._next = start + interval
        self.spent += 1
        return max(now, start)
