"""The settlements that were written last: a server that has lost them is given them again."""

from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from numbergroup.engine.settling.settlement import Settlement
from numbergroup.runtime.clock import Clock

_KEPT_S = 10.0
_KEPT_ANSWERS = 20_000
"""At most so many answers are remembered, or one unit: memory has to be bounded."""


class WrittenUnit(NamedTuple):
    """A unit, the serial under which it was written, and when (monotonic seconds)."""

    serial: int
    unit: Settlement
    written_at_s: float


class Journal:
    """What one owner of a partition has written, as far back as a server may lose it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._written: deque[WrittenUnit] = deque()
        self._answers = 0
        self._dropped = 0

    def add(self, serial: int, unit: Settlement) -> None:
        """The unit is written; serials grow."""
        now = self._clock.monotonic()
        self._written.append(WrittenUnit(serial, unit, now))
        self._answers += unit.answered
        while len(self._written) > 1 and (
            self._answers > _KEPT_ANSWERS or self._written[0].written_at_s < now - _KEPT_S
        ):
            oldest = self._written.popleft()
            self._answers -= oldest.unit.answered
            self._dropped = oldest.serial

    def forget(self, serials: Collection[int]) -> None:
        """Remember these units no longer."""
        self._written = deque(one for one in self._written if one.serial not in serials)

    def list_written(self) -> tuple[int, list[WrittenUnit]]:
        """Up to which serial units are not remembered, and all later ones, in order."""
        return self._dropped, [*self._written]
