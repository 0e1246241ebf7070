"""One partition: wait for its lease, read its log, settle; again when the lease is lost."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from worker.brokers.port import Broker, Log, StaleEpoch
from worker.engine.intake import Intake
from worker.engine.messages import Delivered, Event, Settle
from worker.engine.messages import LeaseLost as Forget
from worker.engine.model import Command, Entry, Refusal
from worker.engine.settlement import Settlement, SettlementBuilder
from worker.ledger.port import Ledger
from worker.runtime.clock import Clock
from worker.runtime.lease import Lease, LeaseLost
from worker.runtime.patience import patiently
from worker.runtime.settler import Settler
from worker.telemetry import get_logger

_DECODING_S = 0.02
_DECODING_BYTES = 4 * 1024 * 1024

log = get_logger("partition")


@dataclass(slots=True, frozen=True)
class Ports:
    """What a partition works with."""

    broker: Broker
    ledger: Ledger
    intake: Intake
    builder: SettlementBuilder
    clock: Clock
    owner: str
    lease_ttl_s: float
    max_pending: int


class PartitionRunner:
    """`dispatch` hands an event to the engine; `waiting` says how many answers the engine owes;
    `calls_ended` returns when no call is in flight any more."""

    def __init__(
        self,
        number: int,
        ports: Ports,
        dispatch: Callable[[Event], None],
        waiting: Callable[[int], int],
        calls_ended: Callable[[], Awaitable[object]],
        written: Callable[[Settlement], None],
    ) -> None:
        self.number = number
        self._ports = ports
        self._dispatch = dispatch
        self._waiting = waiting
        self._calls_ended = calls_ended
        self._on_written = written
        self._stopping = asyncio.Event()
        self._room = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        self._settler: Settler | None = None
        self.lease = self._new_lease()

    def stop(self) -> None:
        """Read no more; settle what can be settled, then give the lease back."""
        self._stopping.set()
        self.lease.stop_sending()

    def settle(self, effect: Settle) -> None:
        assert self._settler is not None
        self._settler.add(effect)

    async def flushed(self) -> None:
        """Return when every settlement so far is durable."""
        if self._settler is not None:
            await self._settler.flushed()

    async def caught_up(self) -> None:
        """Return when all that waits in the broker is in memory, as far as there is room: what is cut
        before has less to merge."""
        await self._caught_up.wait()

    async def run(self) -> None:
        """Own the partition whenever it can be had, until stopped."""
        while not self._stopping.is_set():
            self.lease = self._new_lease()
            if not await self.lease.acquire(self._pause):
                return
            try:
                await self._own()
            except (LeaseLost, StaleEpoch) as error:
                log.error("partition lost: another worker owns it", partition=self.number, reason=str(error))
            finally:
                self.lease.stop_sending()
                self._dispatch(Forget(self.number))
                self._settler = None

    async def _own(self) -> None:
        ports = self._ports
        source = ports.broker.log(self.number, self.lease.epoch)
        settler = self._settler = Settler(self.number, source, ports.builder, ports.clock, self._written)
        upkeep = [
            asyncio.create_task(self.lease.keep()),
            asyncio.create_task(settler.run()),
            asyncio.create_task(_feed(source)),
        ]
        reading = asyncio.create_task(self._read(source, settler))
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await _first([*upkeep, reading, stopped])
            await _cancel([reading])
            drained = asyncio.create_task(self._drained(settler))
            try:
                await _first([*upkeep, drained])
            finally:
                await _cancel([drained])
            await _cancel(upkeep)
            await source.close()
            await self.lease.release()
            log.info("partition handed back", partition=self.number)
        finally:
            await _cancel([*upkeep, reading, stopped])
            await source.close()
            self._caught_up.set()

    async def _drained(self, settler: Settler) -> None:
        await self._calls_ended()
        await settler.drained()

    async def _read(self, source: Log, settler: Settler) -> None:
        ports = self._ports
        held: deque[Entry] = deque()
        while True:
            credit = ports.max_pending - self._waiting(self.number) - settler.unwritten
            if credit <= 0:
                self._caught_up.set()
                self._room.clear()
                await self._room.wait()
                continue
            if not held:
                held.extend(await patiently("reading commands", partial(source.read, credit)))
            if not held:
                self._caught_up.set()
                continue
            items = self._take_in(held, credit)
            commands = [item for item in items if isinstance(item, Command)]
            facts = await patiently("looking commands up", partial(ports.ledger.lookup, commands))
            self._dispatch(Delivered(self.number, items, facts, ports.clock.now()))
            if held or source.behind:
                self._caught_up.clear()
            else:
                self._caught_up.set()

    def _take_in(self, held: deque[Entry], credit: int) -> list[Command | Refusal]:
        """Read the next messages: no more than there is credit for, and than the event loop can spare.

        Decoding holds everything else up, the lease's renewal too: whatever the messages are, it pauses
        soon, and what is in hand at once is bounded.
        """
        clock = self._ports.clock
        items: list[Command | Refusal] = []
        size, until = 0, clock.monotonic() + _DECODING_S
        while held and len(items) < credit and size < _DECODING_BYTES and clock.monotonic() < until:
            entry = held.popleft()
            if entry.void:
                continue
            size += len(entry.body)
            items += self._ports.intake.read(entry)
        return items

    def _written(self, unit: Settlement) -> None:
        self._room.set()
        self._on_written(unit)

    def _new_lease(self) -> Lease:
        ports = self._ports
        return Lease(ports.ledger, self.number, ports.owner, ports.lease_ttl_s, ports.clock)

    async def _pause(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return not self._stopping.is_set()


async def _feed(source: Log) -> None:
    while True:
        await patiently("taking in what was published elsewhere", source.feed)


async def _first(tasks: Sequence[asyncio.Task[object]]) -> None:
    """Wait until one of them ends; raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _cancel(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
