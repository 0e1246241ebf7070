"""Runs the steps of a call one at a time, and notes each in the ledger, while poison detection is active."""

import asyncio
from asyncio import FIRST_COMPLETED
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from numbergroup.engine.partition.poison_detection import InHand, Step
from numbergroup.ledger.history import HistoryChanged
from numbergroup.runtime.lease import LeaseLost
from numbergroup.runtime.poison_guard import NOTHING_IN_HAND, PoisonGuard, make_in_hand

T = TypeVar("T")

_CONNECTING_S = 0.25
_MAX_REQUESTS = 100_000
"""More requests than any call makes."""


class CallSteps:
    """Implements `vendors.attempt.Steps` for one call.

    `digests` identify the call's commands. `call_index` is the call's position among those of its batch.
    `on_loss` is called when the partition is lost: the call must not be sent then.
    """

    def __init__(
        self, guard: PoisonGuard, digests: Sequence[str], call_index: int, on_loss: Callable[[], None]
    ) -> None:
        self._guard = guard
        self._digests = digests
        self._call_index = call_index
        self._on_loss = on_loss
        self._entered_counts: Counter[Step] = Counter()
        self._in_hand: InHand | None = None
        self._writing = asyncio.Event()

    async def enter(self, step: Step) -> None:
        await self.leave()
        if not self._guard.solo:
            return
        self._entered_counts[step] += 1
        place = self._call_index * _MAX_REQUESTS + self._entered_counts[step]
        in_hand = make_in_hand(step, self._digests, place)
        await self._guard.pause_before(in_hand)
        lock = self._guard.solo.lock
        await lock.acquire()
        try:
            await self.enter_locked(in_hand)
        except BaseException:
            self._in_hand = None
            lock.release()
            raise

    async def leave(self) -> None:
        if self._in_hand is None:
            return
        try:
            await self.leave_locked()
        finally:
            self._guard.solo.lock.release()

    async def sent(self, exchange: Coroutine[Any, Any, T]) -> T:
        if self._in_hand is None:
            return await exchange
        self._writing = asyncio.Event()
        task = asyncio.ensure_future(exchange)
        written = asyncio.ensure_future(self._writing.wait())
        try:
            await asyncio.wait((task, written), timeout=_CONNECTING_S, return_when=FIRST_COMPLETED)
            if not self._writing.is_set():
                # The request waits for a connection. The command cannot be what crashes the worker here.
                await self._abandon_step()
            await self.leave()
            return await task
        finally:
            written.cancel()
            task.cancel()

    def writing(self) -> None:
        self._writing.set()

    async def _abandon_step(self) -> None:
        in_hand, self._in_hand = self._in_hand, NOTHING_IN_HAND
        try:
            if in_hand is not None:
                await self._guard.abandon(in_hand)
        except (LeaseLost, HistoryChanged):
            self._on_loss()

    async def enter_locked(self, in_hand: InHand) -> None:
        """Begin a step like `enter`; the caller holds the solo lock."""
        self._in_hand = in_hand
        try:
            await self._guard.enter(in_hand)
        except (LeaseLost, HistoryChanged):
            self._in_hand = NOTHING_IN_HAND
            self._on_loss()

    async def leave_locked(self) -> None:
        """End the step like `leave`; the caller holds the solo lock."""
        in_hand, self._in_hand = self._in_hand, None
        try:
            if in_hand is not None:
                await self._guard.leave(in_hand)
        except (LeaseLost, HistoryChanged):
            self._on_loss()
