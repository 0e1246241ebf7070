"""The worker's clock."""

import time
from dataclasses import dataclass, field
from typing import Self


@dataclass(slots=True, frozen=True)
class Clock:
    """Gives a time that never steps back, in seconds.

    `now` is Unix time. It starts from the machine's clock, or from the time given to `starting_from`. Later
    corrections of the machine's clock do not change it. `monotonic` has no fixed origin. `wall` is the
    machine's clock as it is: vendors compare request signatures with clocks of their own.
    """

    _offset: float = field(default_factory=lambda: time.time() - time.monotonic())

    @classmethod
    def starting_from(cls, now_s: float) -> Self:
        """Return a clock whose `now` is `now_s` (Unix seconds) at this moment.

        All workers start from the time of the same server, so that they can compare times.
        """
        return cls(now_s - time.monotonic())

    def now(self) -> float:
        return time.monotonic() + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()
