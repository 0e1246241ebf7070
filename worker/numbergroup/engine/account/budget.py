"""Budgets: limit the rate of calls for one purpose, so that it cannot use up the account's rate."""

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """Grants `per_second` calls on average and up to `burst` at once, in the order of the requests.

    Source: the generic cell rate algorithm (ITU-T I.371).
    """

    per_second: float = math.inf
    burst: int = 20
    spent: int = 0
    _next: float = -math.inf

    def reserve(self, now: float) -> float:
        """Reserve one call; return when it may be made (Unix seconds, `now` at the earliest)."""
        interval = 1 / self.per_second
        start = max(self._next, now - (self.burst - 1) * interval)
        self._next = start + interval
        self.spent += 1
        return max(now, start)
