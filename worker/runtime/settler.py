"""Writes settlements, one after the other, until each is durable."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from worker import points
from worker.brokers.port import Log
from worker.engine.messages import Settle
from worker.engine.model import Refusal
from worker.engine.settlement import OpenSettlement, Settlement, SettlementBuilder
from worker.runtime.clock import Clock
from worker.runtime.patience import patiently
from worker.telemetry import get_logger

_BYTES_PER_ANSWER = 1_000

log = get_logger("settler")


class Settler:
    """Puts what is to be settled into the next unit while the last one is being written: group commit,
    without a window."""

    def __init__(
        self,
        partition: int,
        target: Log,
        builder: SettlementBuilder,
        clock: Clock,
        written: Callable[[Settlement], None],
    ) -> None:
        self._partition = partition
        self._log = target
        self._builder = builder
        self._clock = clock
        self._written = written
        self._open: OpenSettlement | None = None
        self._size = 0
        self._closed: deque[Settlement] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._serial = 0
        self._added = self._durable = 0
        # Of each unit that is not durable, the oldest first: how many effects and verdicts are in it.
        self._sizes: deque[tuple[int, int]] = deque()
        self._advanced = asyncio.Event()
        self.unwritten = 0

    def add(self, effect: Settle) -> None:
        """Take it; it is durable some time after."""
        if self._open is None:
            self._open = self._builder.begin(self._partition)
            self._sizes.append((0, 0))
        self._open.take(effect, self._clock.now())
        effects, verdicts = self._sizes[-1]
        self._sizes[-1] = effects + 1, verdicts + len(effect.verdicts)
        self._size += len(effect.verdicts) + _letters_bytes(effect) // _BYTES_PER_ANSWER
        unit_size = self._log.unit_size
        # Lists may be large, too: what is written together must not grow without bound.
        if self._size >= unit_size or self._open.reply_bytes >= unit_size * _BYTES_PER_ANSWER:
            self._close(self._open)
        self._added += 1
        self.unwritten += len(effect.verdicts)
        self._arrived.set()
        self._idle.clear()

    async def drained(self) -> None:
        """Return when everything that was added is durable."""
        await self._idle.wait()

    async def flushed(self) -> None:
        """Return when everything that was added before now is durable; what comes later is not waited for."""
        needed = self._added
        while self._durable < needed:
            await self._advanced.wait()

    async def run(self) -> None:
        """Write until cancelled; raises `StaleEpoch` when the partition has another owner."""
        while True:
            await self._arrived.wait()
            unit = self._next()
            self._serial += 1
            points.reach("settling dead letters" if unit.letters else "settling")
            await patiently("writing results", partial(self._log.settle, unit, self._serial))
            points.reach("dead letters settled" if unit.letters else "settled")
            if unit.letters:
                # Where nobody reads results, this is all that operators hear of it.
                log.warning(
                    "dead letters written",
                    partition=self._partition,
                    letters=len(unit.letters),
                    first_id=unit.letters[0].id,
                )
            effects, verdicts = self._sizes.popleft()
            self._durable += effects
            self._advanced.set()
            self._advanced = asyncio.Event()
            self.unwritten -= verdicts
            if not self._sizes:
                self._arrived.clear()
                self._idle.set()
            self._written(unit)

    def _next(self) -> Settlement:
        if self._open is not None and not self._closed:
            self._close(self._open)
        return self._closed.popleft()

    def _close(self, unit: OpenSettlement) -> None:
        self._closed.append(unit.close())
        self._open, self._size = None, 0


def _letters_bytes(effect: Settle) -> int:
    """How much of what is to be written are raw messages, which may be large."""
    return sum(len(one.body) for one in effect.verdicts if isinstance(one, Refusal))
