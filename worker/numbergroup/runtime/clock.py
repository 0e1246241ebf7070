"""Time, as the worker sees it."""

import time
from dataclasses import dataclass, field
from typing import Self


@dataclass(slots=True, frozen=True)
class Clock:
    """`now` is Unix seconds that never step back, whatever happens to the machine's clock.

    `wall` is the machine's clock as it stands: the vendor compares signatures with its own.
    Without `showing`, `now` begins with it.
    """

    _offset: float = field(default_factory=lambda: time.time() - time.monotonic())

    @classmethod
    def starting_from(cls, now_s: float) -> Self:
        """A clock whose `now` is `now_s` at this moment: that of a server whose time all workers go by."""
        return cls(now_s - time.monotonic())

    def now(self) -> float:
        return time.monotonic() + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()
