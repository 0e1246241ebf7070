"""One partition, for as long as it is owned: read its log, settle, hand it over."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from worker import points
from worker.brokers.port import Broker, Log, StaleEpoch
from worker.engine.intake import Intake
from worker.engine.messages import Delivered, Drain, Event, Facts, Owned, Settle
from worker.engine.messages import LeaseLost as Forget
from worker.engine.model import Command, Entry, Refusal
from worker.engine.settlement import Settlement, SettlementBuilder
from worker.ledger.port import Ledger
from worker.runtime.clock import Clock
from worker.runtime.lease import Lease, LeaseLost
from worker.runtime.patience import patiently
from worker.runtime.routing import PartitionOf, misrouted
from worker.runtime.settler import Settler
from worker.telemetry import get_logger

_DECODING_S = 0.02
_DECODING_BYTES = 4 * 1024 * 1024

log = get_logger("partition")


@dataclass(slots=True, frozen=True)
class Ports:
    """What a partition works with. `partition_of`: without it, whoever routes commands is trusted."""

    broker: Broker
    ledger: Ledger
    intake: Intake
    builder: SettlementBuilder
    clock: Clock
    owner: str
    lease_ttl_s: float
    max_pending: int
    partitions: int = 1
    partition_of: PartitionOf | None = None


class PartitionRunner:
    """Owns the partition from `acquire` to the end of `own`, again and again.

    `decoding` is held by whoever decodes: one partition at a time, and everything else between two.
    `dispatch` hands an event to the engine; `waiting` says how many answers the engine owes.
    """

    def __init__(
        self,
        number: int,
        ports: Ports,
        dispatch: Callable[[Event], None],
        waiting: Callable[[int], int],
        written: Callable[[Settlement], None],
        decoding: asyncio.Lock,
    ) -> None:
        self.number = number
        self._ports = ports
        self._dispatch = dispatch
        self._waiting = waiting
        self._on_written = written
        self._decoding = decoding
        self._leaving = asyncio.Event()
        self._calls = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._room = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        self._settler: Settler | None = None
        self.lease = self._new_lease()
        self.idle = True

    @property
    def owned(self) -> bool:
        """Whether it is ours, and not about to be another's."""
        return not self.idle and not self._leaving.is_set()

    @property
    def in_hand(self) -> int:
        """How many answers are owed: the fewer, the easier it is to hand over."""
        return self._waiting(self.number)

    async def acquire(self) -> bool:
        """Become the owner, who then has to `own` it; False while somebody else is."""
        lease = self._new_lease()
        if not await lease.acquire():
            return False
        points.reach("partition acquired")
        self.lease, self.idle = lease, False
        self._leaving.clear()
        return True

    def hand_over(self) -> None:
        """Start no more calls; see through those in flight, settle, then let the next owner in."""
        self._dispatch(Drain(self.number))
        self._leaving.set()

    def stop(self) -> None:
        """Hand it over with the worker's last breath: nothing more is sent."""
        self.lease.stop_sending()
        self._leaving.set()

    def call_began(self) -> None:
        self._calls += 1
        self._quiet.clear()

    def call_ended(self) -> None:
        self._calls -= 1
        if not self._calls:
            self._quiet.set()

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

    async def own(self) -> None:
        """Work until the partition was handed over, or lost."""
        try:
            await self._own()
        except (LeaseLost, StaleEpoch) as error:
            log.error(
                "partition lost: another worker may own it",
                partition=self.number,
                owner=self._ports.owner,
                reason=str(error),
            )
        finally:
            self.lease.stop_sending()
            self._dispatch(Forget(self.number))
            self._settler = None
            self.idle = True

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
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await _first([*upkeep, reading, leaving])
            await _cancel([reading])
            # Permits are for the other partitions from here on: they must not wait for this one.
            self._caught_up.set()
            drained = asyncio.create_task(self._drained(settler))
            try:
                await _first([*upkeep, drained])
            finally:
                await _cancel([drained])
            await _cancel(upkeep)
            await source.close()
            points.reach("releasing the lease")
            await self.lease.release()
            points.reach("lease released")
            log.info("partition handed over", partition=self.number, owner=ports.owner)
        finally:
            await _cancel([*upkeep, reading, leaving])
            await source.close()
            self._caught_up.set()

    async def _drained(self, settler: Settler) -> None:
        await self._quiet.wait()
        await settler.drained()

    async def _read(self, source: Log, settler: Settler) -> None:
        ports = self._ports
        load = partial(ports.ledger.inheritance, self.number)
        left = await patiently("looking up the last owner's calls", load)
        now = ports.clock.now()
        doubts = {
            ref: [replace(one, until=now + one.until) for one in some] for ref, some in left.doubts.items()
        }
        self._dispatch(Owned(self.number, doubts, now, left.attempted))
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
            points.reach("messages in hand")
            async with self._decoding:
                items = self._take_in(held, credit)
            commands = [item for item in items if isinstance(item, Command)]
            facts = await patiently("looking commands up", partial(ports.ledger.lookup, commands))
            items = [self._routed(item, facts) for item in items]
            points.reach("commands taken in")
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

    def _routed(self, item: Command | Refusal, facts: Facts) -> Command | Refusal:
        """The item, or its refusal if it belongs elsewhere. A repeat gets the first answer anywhere."""
        ports = self._ports
        if ports.partition_of is None or isinstance(item, Refusal) or item.key in facts.settled:
            return item
        belongs = ports.partition_of(item)
        return item if belongs == self.number else misrouted(item, belongs, ports.partitions)

    def _written(self, unit: Settlement) -> None:
        self._room.set()
        self._on_written(unit)

    def _new_lease(self) -> Lease:
        ports = self._ports
        return Lease(ports.ledger, self.number, ports.owner, ports.lease_ttl_s, ports.clock)


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
