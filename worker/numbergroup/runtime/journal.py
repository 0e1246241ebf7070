"""Remembers the last written settlements, to write them again if the server loses them."""

from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from numbergroup.engine.settling.settlement import Settlement
from numbergroup.runtime.clock import Clock

_MAX_AGE_S = 10.0
_MAX_ANSWERS = 20_000
"""Bounds the memory. One unit is always kept, however large it is."""


class WrittenUnit(NamedTuple):
    """A settlement that was written under `serial`, at `written_at_s` (monotonic seconds)."""

    serial: int
    unit: Settlement
    written_at_s: float


class Journal:
    """Keeps what one owner of a partition wrote during the last seconds, which a server may still lose."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._written: deque[WrittenUnit] = deque()
        self._answers = 0
        self._last_dropped = 0

    def add(self, serial: int, unit: Settlement) -> None:
        """Remember a written unit. `serial` must be higher than those before."""
        now = self._clock.monotonic()
        self._written.append(WrittenUnit(serial, unit, now))
        self._answers += unit.answered
        while len(self._written) > 1 and (
            self._answers > _MAX_ANSWERS or self._written[0].written_at_s < now - _MAX_AGE_S
        ):
            oldest = self._written.popleft()
            self._answers -= oldest.unit.answered
            self._last_dropped = oldest.serial

    def forget(self, serials: Collection[int]) -> None:
        """Drop the units with these serials."""
        self._written = deque(written for written in self._written if written.serial not in serials)

    def list_written(self) -> tuple[int, list[WrittenUnit]]:
        """Return the serial of the last unit that was dropped for its age (0: none), and all later units."""
        return self._last_dropped, [*self._written]
