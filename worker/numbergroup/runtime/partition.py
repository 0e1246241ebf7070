"""Runs one partition while this worker owns it, and hands it over."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from numbergroup.brokers.port import Log
from numbergroup.engine.effects import Settle
from numbergroup.engine.events import Drain, Event, OpenCalls, PartitionLost
from numbergroup.engine.partition.poison_detection import InHand
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.errors import OwnershipLost
from numbergroup.ledger.history import HistoryChanged, bound_to
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.call_steps import CallSteps
from numbergroup.runtime.committer import Committer
from numbergroup.runtime.loss_recovery import LossRecovery
from numbergroup.runtime.poison_guard import PoisonGuard
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.reading import PartitionReader
from numbergroup.runtime.retrying import retry_until_available
from numbergroup.runtime.solo_mode import SoloMode
from numbergroup.runtime.tasks import cancel_all, wait_for_first

_POSITION_CHECKS_PER_TTL = 8

log = get_logger("partition")


class PartitionRunner:
    """Runs one partition from `acquire` to the end of `own`; both may be repeated.

    `dispatch` passes an event to the engine. `count_pending` returns how many commands of a partition are
    not settled, and `blocked_counts` how many of them wait for each account that is down. `decode_lock` lets
    one partition decode at a time, so that other tasks run in between.
    """

    def __init__(
        self,
        number: int,
        ports: Ports,
        *,
        dispatch: Callable[[Event], object],
        count_pending: Callable[[int], int],
        blocked_counts: Callable[[int], Mapping[str, int]],
        on_written: Callable[[Settlement], None],
        decode_lock: asyncio.Lock,
        solo: SoloMode,
        jitter: Callable[[], float],
        find_open_calls: Callable[[int, float], OpenCalls],
    ) -> None:
        self.number = number
        self._ports = ports
        self._dispatch = dispatch
        self._count_pending = count_pending
        self._blocked_counts = blocked_counts
        self._on_written = on_written
        self._decode_lock = decode_lock
        self._solo = solo
        self._jitter = jitter
        self._guard: PoisonGuard | None = None
        self._recovery = LossRecovery(number, ports, find_open_calls)
        self._leaving = asyncio.Event()
        self._call_count = 0
        self._no_calls = asyncio.Event()
        self._no_calls.set()
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        self._committer: Committer | None = None
        self.lease = self._recovery.new_lease()
        self.is_idle = True

    @property
    def is_owned(self) -> bool:
        """Whether this worker owns the partition and is not handing it over."""
        return not self.is_idle and not self._leaving.is_set()

    @property
    def pending_count(self) -> int:
        """How many commands in memory are not settled. With fewer, handing over is faster."""
        return self._count_pending(self.number)

    async def acquire(self) -> bool:
        """Become the owner; the caller must then run `own`.

        Returns False while another worker is the owner. Raises `LedgerUnavailable`.
        """
        lease = await self._recovery.acquire()
        if lease is None:
            return False
        failpoints.hit("partition acquired")
        self.lease, self.is_idle = lease, False
        self._leaving.clear()
        return True

    def hand_over(self) -> None:
        """Start no more calls, finish those in flight, settle them, then release the lease."""
        self._dispatch(Drain(self.number))
        self._leaving.set()

    def stop(self) -> None:
        """Send nothing more, settle what has ended, then release the lease: the worker is stopping."""
        self.lease.stop_sending()
        self._leaving.set()

    def on_call_started(self) -> None:
        self._call_count += 1
        self._no_calls.clear()

    def on_call_ended(self) -> None:
        self._call_count -= 1
        if not self._call_count:
            self._no_calls.set()

    def settle(self, effect: Settle) -> None:
        assert self._committer is not None
        self._committer.add(effect)

    def make_call_steps(self, digests: Sequence[str], call_index: int) -> CallSteps | None:
        """Return the steps of a call, or of forming a batch, of the commands with these digests.

        `call_index` is the call's position in its batch. Returns `None` while steps may overlap.
        """
        if not self._solo or self._guard is None:
            return None
        return CallSteps(self._guard, digests, call_index, self.lease.stop_sending)

    async def pause_before(self, in_hand: InHand) -> None:
        """Wait before a step in which a worker crashed earlier, with one of these commands alone."""
        if self._guard is not None:
            await self._guard.pause_before(in_hand)

    async def wait_until_flushed(self) -> None:
        """Return when every settlement that was added before this call is durable."""
        if self._committer is not None:
            await self._committer.wait_until_flushed()

    async def wait_until_caught_up(self) -> None:
        """Return when the commands that wait in the broker are in memory, or the memory is full.

        A batch that is formed earlier has fewer commands to merge.
        """
        await self._caught_up.wait()

    async def own(self) -> None:
        """Work until the partition is handed over or lost."""
        try:
            await self._own_through_losses()
        except OwnershipLost as error:
            log.error(
                "partition lost: another worker may own it",
                partition=self.number,
                owner=self._ports.owner,
                reason=str(error),
            )
        finally:
            self.lease.stop_sending()
            self._dispatch(PartitionLost(self.number))
            self._committer = self._guard = None
            self._recovery.forget_epochs()
            self.is_idle = True

    async def _own_through_losses(self) -> None:
        reason = ""
        while True:
            try:
                if reason:
                    await self._reacquire(reason)
                with bound_to(self.lease.history):
                    return await self._own()
            except HistoryChanged as error:
                reason = str(error)

    async def _reacquire(self, reason: str) -> None:
        """Become the owner again after the ledger may have lost its last writes.

        Returns when the former lease's calls have ended and the losses are known. Raises `LeaseLost` when
        another worker was faster.
        """
        log.error("the ledger may have lost writes", partition=self.number, reason=reason)
        former = self.lease
        former.stop_sending()
        self._dispatch(Drain(self.number))
        self.lease = await self._recovery.reacquire()
        with bound_to(self.lease.history):
            calls_ended = asyncio.create_task(self._no_calls.wait())
            renewing = asyncio.create_task(self.lease.renew_forever())
            try:
                await wait_for_first([renewing, calls_ended])
            finally:
                await cancel_all([renewing, calls_ended])
        self._recovery.find_losses(former)
        self._dispatch(PartitionLost(self.number))
        self._committer = None

    async def _own(self) -> None:
        ports = self._ports
        source = ports.broker.open_log(self.number, self.lease.epoch)
        guard, committer, reader = self._create_parts(source)
        self._guard, self._committer = guard, committer
        self._recovery.start_epoch(self.lease, committer)
        upkeep = [
            asyncio.create_task(self.lease.renew_forever()),
            asyncio.create_task(committer.run()),
            asyncio.create_task(_import_messages(source)),
            asyncio.create_task(_check_position(source, ports.lease_ttl_s / _POSITION_CHECKS_PER_TTL)),
        ]
        reading = asyncio.create_task(self._read(reader, committer))
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await wait_for_first([*upkeep, reading, leaving])
            await cancel_all([reading])
            # Permits must not wait for this partition any more: it forms no further batch.
            self._caught_up.set()
            drained = asyncio.create_task(self._wait_until_drained(committer))
            try:
                await wait_for_first([*upkeep, drained])
            finally:
                await cancel_all([drained])
            await cancel_all(upkeep)
            await source.close()
            failpoints.hit("releasing the lease")
            await self.lease.release()
            failpoints.hit("lease released")
            log.info("partition handed over", partition=self.number, owner=ports.owner)
        finally:
            await cancel_all([*upkeep, reading, leaving])
            await source.close()
            self._caught_up.set()
            guard.close()

    def _create_parts(self, source: Log) -> tuple[PoisonGuard, Committer, PartitionReader]:
        """Create what works on the partition during one epoch of its lease."""
        ports = self._ports
        guard = PoisonGuard(
            self.number,
            self.lease.epoch,
            ports.ledger,
            clock=ports.clock,
            caution=replace(ports.caution, max_pending=ports.most_in_memory),
            solo=self._solo,
            count_unsettled=lambda: self._count_pending(self.number) + committer.unwritten_count,
            dispatch=self._dispatch,
            jitter=self._jitter,
        )

        def note_written(unit: Settlement) -> None:
            reader.check_room()
            self._on_written(unit)

        committer = Committer(
            self.number,
            source,
            ports.builder,
            ports.clock,
            on_written=note_written,
            guard=guard,
            lost_units=self._recovery.lost_units,
        )
        reader = PartitionReader(
            self.number,
            ports,
            source,
            committer=committer,
            guard=guard,
            dispatch=self._dispatch,
            count_pending=self._count_pending,
            blocked_counts=self._blocked_counts,
            decode_lock=self._decode_lock,
            caught_up=self._caught_up,
            clear_loss=partial(ports.ledger.clear_loss, self.number, self.lease.epoch),
        )
        return guard, committer, reader

    async def _wait_until_drained(self, committer: Committer) -> None:
        await self._no_calls.wait()
        await committer.wait_until_idle()

    async def _read(self, reader: PartitionReader, committer: Committer) -> None:
        await committer.wait_until_rewritten()
        await self._recovery.rewrite_call_records(self.lease.epoch)
        inherited = await self._recovery.load_inheritance()
        self._dispatch(inherited)
        await reader.run(inherited.quiet_until)


async def _import_messages(source: Log) -> None:
    while True:
        await retry_until_available("importing messages from other queues", source.import_messages)


async def _check_position(source: Log, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await retry_until_available(
            "checking for messages before the reading position", source.check_position
        )
