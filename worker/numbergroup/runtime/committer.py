"""Writes settlements, one after the other, until each is durable."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from numbergroup.brokers.port import Log
from numbergroup.engine.commands import Refusal, Verdict
from numbergroup.engine.effects import Settle
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.engine.settling.settlement import OpenSettlement, Settlement, SettlementBuilder
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.journal import Journal
from numbergroup.runtime.poison_guard import PoisonGuard, digest_of
from numbergroup.runtime.retrying import retry_until_available

_BYTES_PER_ANSWER = 1_000
_NEVER = 2**62

log = get_logger("settler")


class Committer:
    """Puts what is to be settled into the next unit while the last one is being written: group commit,
    without a window.

    While `guard` takes notes, each effect is a unit of its own, which is encoded and written as one step.
    `lost`: what a former owner in this process had written or was about to write, and the ledger has not any
    more. It is written first.
    """

    def __init__(
        self,
        partition: int,
        target: Log,
        builder: SettlementBuilder,
        clock: Clock,
        written: Callable[[Settlement], None],
        guard: PoisonGuard,
        lost: Sequence[Settlement] = (),
    ) -> None:
        self._partition = partition
        self._log = target
        self._builder = builder
        self._clock = clock
        self._written = written
        self._guard = guard
        self._apart: deque[Settle] = deque()
        """What is written effect by effect, behind all units."""
        self._open: OpenSettlement | None = None
        self._size = 0
        self._closed: deque[Settlement] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._serial = 0
        self._journal = Journal(clock)
        self._unfinished: tuple[int, Settlement, bool] | None = None
        self._lost = deque(lost)
        self._rewritten = asyncio.Event()
        if lost:
            self._idle.clear()
        else:
            self._rewritten.set()
        self._added = self._durable = 0
        # Of each unit that is not durable, the oldest first: how many effects and verdicts are in it.
        self._sizes: deque[tuple[int, int]] = deque()
        self._advanced = asyncio.Event()
        self.unwritten_count = 0

    def add(self, effect: Settle) -> None:
        """Take it; it is durable some time after."""
        if self._guard.is_noting or self._apart:
            parts = self._parts(effect)
            self._apart += parts
            self._added += len(parts)
        else:
            self._put(effect)
            self._added += 1
        self.unwritten_count += len(effect.verdicts)
        self._arrived.set()
        self._idle.clear()

    def _put(self, effect: Settle) -> None:
        """Put it into the open unit."""
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

    def _parts(self, effect: Settle) -> list[Settle]:
        """The effect, or each of its answers for itself where one is suspect and they need not settle
        together."""
        verdicts = effect.verdicts
        if effect != Settle(effect.partition, verdicts, effect.at):
            return [effect]
        if not any(self._guard.is_suspect(_digest(verdict)) for verdict in verdicts):
            return [effect]
        return [Settle(effect.partition, [verdict], effect.at) for verdict in verdicts]

    async def wait_until_rewritten(self) -> None:
        """Return when all that the ledger had lost is durable."""
        await self._rewritten.wait()

    def remove_missing(self, kept: int) -> list[Settlement] | None:
        """All that a ledger lacks which has lost what was written after the serial `kept` (as the log counts
        serials). It is remembered here no longer: who takes it writes it again.

        `None`: this settler does not remember all of it. Nothing is added afterwards, and nothing runs.
        """
        dropped, written = self._journal.list_written()
        nothing = Settlement(self._partition)
        if dropped and self._log.find_lost_part(nothing, dropped, kept, published=True) is not None:
            return None
        while self._apart:
            self._put(self._apart.popleft())
        if self._open is not None:
            self._close(self._open)
        begun = [(serial, unit, True) for serial, unit, _ in written]
        if self._unfinished is not None:
            begun.append(self._unfinished)
        # No serial that was never used is among those that were kept.
        begun += [(_NEVER, unit, True) for unit in self._lost]
        begun += [(_NEVER, unit, False) for unit in self._closed]
        parts = [
            (serial, self._log.find_lost_part(unit, serial, kept, published=published))
            for serial, unit, published in begun
        ]
        self._journal.forget({serial for serial, part in parts if part is not None})
        self._unfinished = None
        self._lost.clear()
        self._closed.clear()
        return [part for _, part in parts if part is not None]

    async def wait_until_idle(self) -> None:
        """Return when everything that was added is durable."""
        await self._idle.wait()

    async def wait_until_flushed(self) -> None:
        """Return when everything that was added before now is durable; what comes later is not waited for."""
        needed = self._added
        while self._durable < needed:
            await self._advanced.wait()

    async def run(self) -> None:
        """Write until cancelled; raises `StaleEpoch` when the partition has another owner."""
        await self._rewrite()
        while True:
            await self._arrived.wait()
            is_apart = self._open is None and not self._closed
            digests = [_digest(verdict) for verdict in self._apart[0].verdicts] if is_apart else []
            unit = await self._guard.run_start_as_step(Step.SETTLE, digests, self._write)
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
            self.unwritten_count -= verdicts
            if not self._sizes and not self._apart:
                self._arrived.clear()
                self._idle.set()
            self._written(unit)

    async def _write(self) -> Settlement:
        """Write the next unit, until it is durable."""
        unit = self._next_unit()
        self._serial += 1
        self._unfinished = self._serial, unit, False
        failpoints.hit("settling dead letters" if unit.letters else "settling")
        await retry_until_available("writing results", partial(self._log.settle, unit, self._serial))
        failpoints.hit("dead letters settled" if unit.letters else "settled")
        self._unfinished = None
        self._journal.add(self._serial, unit)
        return unit

    async def _rewrite(self) -> None:
        while self._lost:
            unit = self._lost.popleft()
            self._serial += 1
            self._unfinished = self._serial, unit, True
            await retry_until_available(
                "writing lost results again", partial(self._log.restore, unit, self._serial)
            )
            self._journal.add(self._serial, unit)
            self._unfinished = None
        self._rewritten.set()
        if not self._sizes and not self._apart:
            self._idle.set()

    def _next_unit(self) -> Settlement:
        if self._open is None and not self._closed:
            self._put(self._apart.popleft())
        if self._open is not None and not self._closed:
            self._close(self._open)
        return self._closed.popleft()

    def _close(self, unit: OpenSettlement) -> None:
        self._closed.append(unit.close())
        self._open, self._size = None, 0


def _digest(verdict: Verdict | Refusal) -> str:
    """What identifies the command, or the message that is none."""
    if isinstance(verdict, Refusal):
        return digest_of(verdict.origin.entry.body)
    return verdict.command.digest


def _letters_bytes(effect: Settle) -> int:
    """How much of what is to be written are raw messages, which may be large."""
    return sum(len(one.body) for one in effect.verdicts if isinstance(one, Refusal))
