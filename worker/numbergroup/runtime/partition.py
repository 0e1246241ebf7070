"""Runs one partition while this worker owns it: reads commands, settles results, and hands it over."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from numbergroup.brokers.port import Log
from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.effects import Settle
from numbergroup.engine.events import (
    Delivered,
    Drain,
    Event,
    LookupResult,
    OpenCalls,
    PartitionAcquired,
    ReplaysExpected,
)
from numbergroup.engine.events import PartitionLost as Forget
from numbergroup.engine.partition.poison_detection import InHand, Step
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Refusal
from numbergroup.errors import OwnershipLost
from numbergroup.ledger.history import HistoryChanged, bound_to
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.call_steps import CallSteps
from numbergroup.runtime.committer import Committer
from numbergroup.runtime.decoding import decode
from numbergroup.runtime.loss_recovery import LossRecovery
from numbergroup.runtime.poison_guard import PoisonGuard, SoloMode
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.retrying import retry_until_available
from numbergroup.runtime.routing import partition_by_handle, refuse_misrouted
from numbergroup.runtime.tasks import cancel_all, wait_for_first

_ROOM_POLL_S = 1.0
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
        self._may_have_room = asyncio.Event()
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
            self._dispatch(Forget(self.number))
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
        self._dispatch(Forget(self.number))
        self._committer = None

    async def _own(self) -> None:
        ports = self._ports
        source = ports.broker.open_log(self.number, self.lease.epoch)
        guard = self._guard = PoisonGuard(
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
        committer = self._committer = Committer(
            self.number,
            source,
            ports.builder,
            ports.clock,
            on_written=self._note_written,
            guard=guard,
            lost_units=self._recovery.lost_units,
        )
        self._recovery.start_epoch(self.lease, committer)
        upkeep = [
            asyncio.create_task(self.lease.renew_forever()),
            asyncio.create_task(committer.run()),
            asyncio.create_task(_import_messages(source)),
            asyncio.create_task(_check_position(source, ports.lease_ttl_s / _POSITION_CHECKS_PER_TTL)),
        ]
        reading = asyncio.create_task(self._read(source, committer, guard))
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

    async def _wait_until_drained(self, committer: Committer) -> None:
        await self._no_calls.wait()
        await committer.wait_until_idle()

    def _credit(self, committer: Committer) -> int:
        """Return how many more commands may be read into memory; may be negative.

        Commands blocked by an account that is down do not count, up to `max_pending` of each account: they
        must not keep out those of other accounts.
        """
        max_pending = self._ports.max_pending
        blocked = sum(min(max_pending, count) for count in self._blocked_counts(self.number).values())
        return max_pending + blocked - self._count_pending(self.number) - committer.unwritten_count

    async def _wait_for_room(self) -> None:
        """Return after a settlement, or after a second: an account that goes down makes room, too."""
        self._may_have_room.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_ROOM_POLL_S):
                await self._may_have_room.wait()

    async def _read(self, source: Log, committer: Committer, guard: PoisonGuard) -> None:
        ports = self._ports
        await committer.wait_until_rewritten()
        await self._recovery.rewrite_call_records(self.lease.epoch)
        owned = await self._load_inheritance()
        # Messages published before the ledger's loss may have been carried out by the previous owner.
        may_be_done = has_loss = owned.quiet_until is not None
        self._dispatch(owned)
        unread: deque[Entry] = deque()
        chunk: deque[Entry] = deque()
        await guard.open()
        while True:
            await guard.review()
            credit = self._credit(committer)
            if credit <= 0:
                self._caught_up.set()
                await self._wait_for_room()
                continue
            if ports.dead_letter_cap.is_reached():
                self._caught_up.set()
                await ports.dead_letter_cap.wait_for_room()
                continue
            if not unread and not chunk:
                unread.extend(await retry_until_available("reading commands", partial(source.read, credit)))
                if not unread:
                    self._caught_up.set()
                    may_be_done = False
                    if has_loss and not self._count_pending(self.number) and not committer.unwritten_count:
                        await retry_until_available("recording that the loss is made good", self._clear_loss)
                        has_loss = False
                    continue
                if ports.dead_letter_cap.is_reached():
                    # The cap was reached during the read: these messages wait until there is room.
                    continue
            if not chunk:
                chunk = guard.select_messages(unread)
            digests = guard.digests_of(chunk)
            failpoints.hit("messages in hand")
            has_strays = any(entry.stray_queue is not None for entry in chunk)
            async with self._decode_lock, guard.run_as_step(Step.DECODE, digests):
                items = decode(chunk, credit, ports.intake, ports.clock)
            commands = [item for item in items if isinstance(item, Command)]
            await self._expect_replays(commands, committer)
            async with guard.run_as_step(Step.ADMIT, digests):
                facts = await retry_until_available(
                    "looking commands up", partial(ports.ledger.lookup, commands)
                )
                if has_strays or ports.partition_of is not None:
                    items = [self._refuse_if_misrouted(item, facts) for item in items]
                failpoints.hit("commands looked up")
                until = owned.quiet_until if may_be_done else None
                self._dispatch(Delivered(self.number, items, facts, ports.clock.now(), until))
            if chunk or unread or source.may_have_more:
                self._caught_up.clear()
            else:
                self._caught_up.set()
                # Messages that arrive from now on were published after the ledger's loss.
                may_be_done = False

    async def _expect_replays(self, commands: Sequence[Command], committer: Committer) -> None:
        """Prepare for replayed commands, so that their look-up misses no later decision on their groups.

        The engine keeps the decisions made from now on; earlier ones are durable when this returns.
        """
        groups = {command.group for command in commands if command.retry_history is not None}
        if groups:
            self._dispatch(ReplaysExpected(self.number, groups))
            await committer.wait_until_flushed()

    async def _clear_loss(self) -> None:
        await self._ports.ledger.clear_loss(self.number, self.lease.epoch)

    async def _load_inheritance(self) -> PartitionAcquired:
        """Return the event that tells the engine of the previous owner's calls."""
        load = partial(self._ports.ledger.read_previous_owner_state, self.number)
        previous = await retry_until_available("looking up the last owner's calls", load)
        now = self._ports.clock.now()
        doubts = {
            ref: [replace(doubt, until=now + doubt.until) for doubt in group_doubts]
            for ref, group_doubts in previous.doubts.items()
        }
        quiet_until = None
        if previous.lost_s_ago is not None:
            quiet_until = now - previous.lost_s_ago + self._ports.call_lasts_s
            log.error(
                "the ledger may have lost writes of a crashed owner: no call begins until that owner's calls "
                "must have ended",
                partition=self.number,
                wait_s=round(max(0.0, quiet_until - now), 1),
            )
        return PartitionAcquired(
            self.number, doubts, now, previous.attempted, previous.quarantined, quiet_until
        )

    def _refuse_if_misrouted(self, item: Command | Refusal, facts: LookupResult) -> Command | Refusal:
        """Return the item, or a refusal if it belongs in another partition.

        A repeat of a settled command is not refused: it gets its first answer in any partition.
        """
        if isinstance(item, Refusal) or item.key in facts.settled:
            return item
        partition_of, partitions = self._ports.partition_of, self._ports.partitions
        is_stray = item.origins[0].entry.stray_queue is not None
        right_partition = self.number
        if partition_of is not None:
            right_partition = partition_of(item)
        elif is_stray:
            right_partition = partition_by_handle(partitions)(item)
        if is_stray or right_partition != self.number:
            return refuse_misrouted(item, right_partition, partitions)
        return item

    def _note_written(self, unit: Settlement) -> None:
        self._may_have_room.set()
        self._on_written(unit)


async def _import_messages(source: Log) -> None:
    while True:
        await retry_until_available("importing messages from other queues", source.import_messages)


async def _check_position(source: Log, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await retry_until_available(
            "checking for messages before the reading position", source.check_position
        )
