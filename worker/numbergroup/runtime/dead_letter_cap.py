"""Stops reading commands when there are too many dead letters, since an operator must look first."""

import asyncio
import time
from collections.abc import Callable

from numbergroup.observability.logging import get_logger

_ALARM_RATIO = 0.8
"""A warning is logged from this share of the cap on."""
_REMIND_S = 60.0

log = get_logger("dead-letters")


def is_near_cap(count: int, limit: int) -> bool:
    """Return whether there are so many dead letters that the operator should be warned."""
    return count >= _ALARM_RATIO * limit


class DeadLetterCap:
    """Tells a worker's partitions whether they may read commands.

    While the cap is reached no command is read. Commands in memory are still carried out, so there may be
    more dead letters than `limit`. `monotonic_s` limits each log message to one a minute.
    """

    def __init__(self, limit: int = 500_000, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.count = 0
        self._monotonic_s = monotonic_s
        self._last_logged: dict[str, float] = {}
        self._has_room = asyncio.Event()
        self._has_room.set()

    def is_reached(self) -> bool:
        return not self._has_room.is_set()

    async def wait_for_room(self) -> None:
        """Return when the cap is not reached."""
        await self._has_room.wait()

    def update(self, count: int) -> None:
        """Set how many dead letters there are now."""
        self.count = count
        if count >= self.limit:
            self._has_room.clear()
            self._log(log.error, "too many dead letters: no command is read until there are fewer")
            return
        if self.is_reached():
            self._log(log.warning, "fewer dead letters than the cap: commands are read again")
            self._has_room.set()
        if is_near_cap(count, self.limit):
            self._log(log.warning, "many dead letters: at the cap, no more commands are read")

    def _log(self, write: Callable[..., object], message: str) -> None:
        now = self._monotonic_s()
        if now - self._last_logged.get(message, -_REMIND_S) >= _REMIND_S:
            self._last_logged[message] = now
            write(message, letters=self.count, cap=self.limit)
