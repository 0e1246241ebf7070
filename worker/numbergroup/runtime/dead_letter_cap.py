"""The cap on dead letters: with so many, something is wrong that nobody has seen to, and no more are made."""

import asyncio
import time
from collections.abc import Callable

from numbergroup.observability.logging import get_logger

_ALARM = 0.8
"""From which share of the cap on it is said that there are many."""
_REMIND_S = 60.0

log = get_logger("dead-letters")


def is_near_cap(letters: int, most: int) -> bool:
    return letters >= _ALARM * most


class DeadLetterCap:
    """One for a worker. While it is reached nothing more is taken in; what is in hand goes on, so that there
    may be more by that. `monotonic_s`: for how often each thing is said."""

    def __init__(self, most: int = 500_000, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.limit = most
        self.count = 0
        self._monotonic_s = monotonic_s
        self._said: dict[str, float] = {}
        self._room = asyncio.Event()
        self._room.set()

    def is_reached(self) -> bool:
        return not self._room.is_set()

    async def wait_for_room(self) -> None:
        """Return when it is not reached any more."""
        await self._room.wait()

    def update(self, letters: int) -> None:
        """There are so many now."""
        self.count = letters
        if letters >= self.limit:
            self._room.clear()
            self._say(
                log.error, "too many dead letters: nothing more is taken in until there are fewer", letters
            )
            return
        if self.is_reached():
            self._say(log.warning, "fewer dead letters than the cap: commands are taken in again", letters)
            self._room.set()
        if is_near_cap(letters, self.limit):
            self._say(log.warning, "many dead letters: at the cap nothing more will be taken in", letters)

    def _say(self, say: Callable[..., object], what: str, letters: int) -> None:
        now = self._monotonic_s()
        if now - self._said.get(what, -_REMIND_S) >= _REMIND_S:
            self._said[what] = now
            say(what, letters=letters, cap=self.limit)
