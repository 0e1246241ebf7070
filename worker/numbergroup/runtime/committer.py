"""Writes settlements to the broker and the ledger, in order, and retries each until it is durable."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from numbergroup.brokers.port import Log
from numbergroup.engine.effects import Settle
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.engine.settling.settlement import OpenSettlement, Settlement, SettlementBuilder
from numbergroup.engine.verdicts import Refusal, Verdict
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.journal import Journal
from numbergroup.runtime.poison_guard import PoisonGuard, digest_of
from numbergroup.runtime.retrying import retry_until_available

_BYTES_PER_ANSWER = 1_000
_NEVER_WRITTEN = 2**62
"""The serial of a unit that was not written: higher than any that a server can have kept."""

log = get_logger("committer")


class Committer:
    """Commits settlements in groups: while one unit is written, the next one collects what is added.

    While `guard` notes steps, each effect is a unit of its own, which is encoded and written as one step.
    `lost_units` were written, or about to be, under this process's former leases, but the ledger lacks them.
    They are written first. `on_written` is called with each unit that became durable.
    """

    def __init__(
        self,
        partition: int,
        target: Log,
        builder: SettlementBuilder,
        clock: Clock,
        *,
        on_written: Callable[[Settlement], None],
        guard: PoisonGuard,
        lost_units: Sequence[Settlement] = (),
    ) -> None:
        self._partition = partition
        self._log = target
        self._builder = builder
        self._clock = clock
        self._on_written = on_written
        self._guard = guard
        self._single_effects: deque[Settle] = deque()
        """Effects to be written one by one, after all units."""
        self._open_unit: OpenSettlement | None = None
        self._open_size = 0
        self._closed_units: deque[Settlement] = deque()
        self._has_work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._serial = 0
        self._journal = Journal(clock)
        self._unfinished: tuple[int, Settlement, bool] | None = None
        """The unit being written: its serial, the unit, and whether its results were published before."""
        self._lost_units = deque(lost_units)
        self._rewritten = asyncio.Event()
        if lost_units:
            self._idle.clear()
        else:
            self._rewritten.set()
        self._added = self._durable = 0
        # How many effects and verdicts are in each unit that is not durable, the oldest first.
        self._sizes: deque[tuple[int, int]] = deque()
        self._advanced = asyncio.Event()
        self.unwritten_count = 0

    def add(self, effect: Settle) -> None:
        """Queue an effect to be written."""
        if self._guard.is_noting or self._single_effects:
            parts = self._split(effect)
            self._single_effects += parts
            self._added += len(parts)
        else:
            self._add_to_open_unit(effect)
            self._added += 1
        self.unwritten_count += len(effect.verdicts)
        self._has_work.set()
        self._idle.clear()

    def _add_to_open_unit(self, effect: Settle) -> None:
        if self._open_unit is None:
            self._open_unit = self._builder.begin(self._partition)
            self._sizes.append((0, 0))
        self._open_unit.add(effect, self._clock.now())
        effects, verdicts = self._sizes[-1]
        self._sizes[-1] = effects + 1, verdicts + len(effect.verdicts)
        self._open_size += len(effect.verdicts) + _raw_bytes(effect) // _BYTES_PER_ANSWER
        unit_size = self._log.unit_size
        # A list of groups may be large, too, and the size of a unit must be bounded.
        if self._open_size >= unit_size or self._open_unit.reply_bytes >= unit_size * _BYTES_PER_ANSWER:
            self._close(self._open_unit)

    def _split(self, effect: Settle) -> list[Settle]:
        """Split the effect into one per verdict, if a verdict is suspect and they may settle separately."""
        verdicts = effect.verdicts
        if effect != Settle(effect.partition, verdicts, effect.settled_at):
            return [effect]
        if not any(self._guard.is_suspect(_digest(verdict)) for verdict in verdicts):
            return [effect]
        return [Settle(effect.partition, [verdict], effect.settled_at) for verdict in verdicts]

    async def wait_until_rewritten(self) -> None:
        """Return when all `lost_units` are durable."""
        await self._rewritten.wait()

    def remove_missing(self, kept: int) -> list[Settlement] | None:
        """Return all units that a ledger lacks whose last kept serial is `kept`, and forget them here.

        The caller writes them again. Returns `None` when this committer does not remember all of them. Call
        it only after `run` has ended, and add nothing afterwards.
        """
        dropped, written = self._journal.list_written()
        nothing = Settlement(self._partition)
        if dropped and self._log.find_lost_part(nothing, dropped, kept, published=True) is not None:
            return None
        while self._single_effects:
            self._add_to_open_unit(self._single_effects.popleft())
        if self._open_unit is not None:
            self._close(self._open_unit)
        candidates = [(serial, unit, True) for serial, unit, _ in written]
        if self._unfinished is not None:
            candidates.append(self._unfinished)
        candidates += [(_NEVER_WRITTEN, unit, True) for unit in self._lost_units]
        candidates += [(_NEVER_WRITTEN, unit, False) for unit in self._closed_units]
        parts = [
            (serial, self._log.find_lost_part(unit, serial, kept, published=published))
            for serial, unit, published in candidates
        ]
        self._journal.forget({serial for serial, part in parts if part is not None})
        self._unfinished = None
        self._lost_units.clear()
        self._closed_units.clear()
        return [part for _, part in parts if part is not None]

    async def wait_until_idle(self) -> None:
        """Return when everything that was added is durable."""
        await self._idle.wait()

    async def wait_until_flushed(self) -> None:
        """Return when everything that was added before this call is durable."""
        target = self._added
        while self._durable < target:
            await self._advanced.wait()

    async def run(self) -> None:
        """Write until cancelled. Raises `StaleEpoch` when the partition has another owner."""
        await self._rewrite()
        while True:
            await self._has_work.wait()
            is_single = self._open_unit is None and not self._closed_units
            digests = [_digest(verdict) for verdict in self._single_effects[0].verdicts] if is_single else []
            unit = await self._guard.run_start_as_step(Step.SETTLE, digests, self._write)
            if unit.dead_letters:
                # Without a reader of the results, this line is an operator's only notice.
                log.warning(
                    "dead letters written",
                    partition=self._partition,
                    letters=len(unit.dead_letters),
                    first_id=unit.dead_letters[0].id,
                )
            effects, verdicts = self._sizes.popleft()
            self._durable += effects
            self._advanced.set()
            self._advanced = asyncio.Event()
            self.unwritten_count -= verdicts
            if not self._sizes and not self._single_effects:
                self._has_work.clear()
                self._idle.set()
            self._on_written(unit)

    async def _write(self) -> Settlement:
        """Write the next unit, and return it when it is durable."""
        unit = self._next_unit()
        self._serial += 1
        self._unfinished = self._serial, unit, False
        failpoints.hit("settling dead letters" if unit.dead_letters else "settling")
        await retry_until_available("writing results", partial(self._log.settle, unit, self._serial))
        failpoints.hit("dead letters settled" if unit.dead_letters else "settled")
        self._unfinished = None
        self._journal.add(self._serial, unit)
        return unit

    async def _rewrite(self) -> None:
        while self._lost_units:
            unit = self._lost_units.popleft()
            self._serial += 1
            self._unfinished = self._serial, unit, True
            await retry_until_available(
                "writing lost results again", partial(self._log.restore, unit, self._serial)
            )
            self._journal.add(self._serial, unit)
            self._unfinished = None
        self._rewritten.set()
        if not self._sizes and not self._single_effects:
            self._idle.set()

    def _next_unit(self) -> Settlement:
        if self._open_unit is None and not self._closed_units:
            self._add_to_open_unit(self._single_effects.popleft())
        if self._open_unit is not None and not self._closed_units:
            self._close(self._open_unit)
        return self._closed_units.popleft()

    def _close(self, unit: OpenSettlement) -> None:
        self._closed_units.append(unit.close())
        self._open_unit, self._open_size = None, 0


def _digest(verdict: Verdict | Refusal) -> str:
    """Return what identifies the command, or the message that could not be read as one."""
    if isinstance(verdict, Refusal):
        return digest_of(verdict.origin.entry.body)
    return verdict.command.digest


def _raw_bytes(effect: Settle) -> int:
    """Return the size of the effect's raw messages in bytes; they may be large."""
    return sum(len(verdict.body) for verdict in effect.verdicts if isinstance(verdict, Refusal))
