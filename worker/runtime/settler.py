"""Writes settlements, one after the other, until each is durable."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from worker import points
from worker.brokers.port import Log
from worker.engine.messages import Settle
from worker.engine.model import Refusal
from worker.engine.settlement import Settlement, SettlementBuilder
from worker.runtime.clock import Clock
from worker.runtime.patience import patiently
from worker.telemetry import get_logger

_ANSWERS_PER_UNIT = 4_000
_BYTES_PER_ANSWER = 1_000

log = get_logger("settler")


class Settler:
    """Gathers what is to be settled while the last unit is being written: group commit, without a window."""

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
        self._waiting: deque[Settle] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._serial = 0
        self._added = self._durable = 0
        self._advanced = asyncio.Event()
        self.unwritten = 0

    def add(self, effect: Settle) -> None:
        """Take it; it is durable some time after."""
        self._waiting.append(effect)
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
            effects = self._next()
            unit = self._builder.build(self._partition, effects, self._clock.now())
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
            self._durable += len(effects)
            self._advanced.set()
            self._advanced = asyncio.Event()
            self.unwritten = sum(len(effect.verdicts) for effect in self._waiting)
            if not self._waiting:
                self._arrived.clear()
                self._idle.set()
            self._written(unit)

    def _next(self) -> list[Settle]:
        unit: list[Settle] = []
        answers = 0
        while self._waiting and answers < _ANSWERS_PER_UNIT:
            unit.append(self._waiting.popleft())
            answers += len(unit[-1].verdicts) + _letters_bytes(unit[-1]) // _BYTES_PER_ANSWER
        return unit


def _letters_bytes(effect: Settle) -> int:
    """How much of what is to be written are raw messages, which may be large."""
    return sum(len(one.body) for one in effect.verdicts if isinstance(one, Refusal))
