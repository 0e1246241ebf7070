"""One partition, for as long as it is owned: read its log, settle, hand it over."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from numbergroup.brokers.port import Log, StaleEpoch
from numbergroup.engine.commands import Command, Entry, Refusal
from numbergroup.engine.effects import Settle
from numbergroup.engine.events import Delivered, Drain, Event, Expected, Facts, OpenCalls, Owned
from numbergroup.engine.events import PartitionLost as Forget
from numbergroup.engine.partition.poison_detection import InHand, Step
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger.history import HistoryChanged, bound_to
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.call_steps import CallSteps
from numbergroup.runtime.committer import Committer
from numbergroup.runtime.decoding import decode
from numbergroup.runtime.lease import LeaseLost
from numbergroup.runtime.loss_recovery import LossRecovery
from numbergroup.runtime.poison_guard import PoisonGuard, SoloMode
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.retrying import retry_until_available
from numbergroup.runtime.routing import partition_by_handle, refuse_misrouted
from numbergroup.runtime.tasks import cancel_all, wait_for_first

_LOOK_AGAIN_S = 1.0
_LOOKS_PER_TTL = 8

log = get_logger("partition")


class PartitionRunner:
    """Owns the partition from `acquire` to the end of `own`, again and again.

    `decoding` is held by whoever decodes: one partition at a time, and everything else between two.
    `dispatch` hands an event to the engine; `waiting` says how many answers the engine owes, `held_up` how
    many of them wait for which account that is down.
    """

    def __init__(
        self,
        number: int,
        ports: Ports,
        dispatch: Callable[[Event], object],
        waiting: Callable[[int], int],
        held_up: Callable[[int], Mapping[str, int]],
        written: Callable[[Settlement], None],
        decoding: asyncio.Lock,
        solo: SoloMode,
        jitter: Callable[[], float],
        open_calls: Callable[[int, float], OpenCalls],
    ) -> None:
        self.number = number
        self._ports = ports
        self._dispatch = dispatch
        self._waiting = waiting
        self._held_up = held_up
        self._on_written = written
        self._decoding = decoding
        self._solo = solo
        self._jitter = jitter
        self._guard: PoisonGuard | None = None
        self._recovery = LossRecovery(number, ports, open_calls)
        self._leaving = asyncio.Event()
        self._calls = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._room = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        self._committer: Committer | None = None
        self.lease = self._recovery.new_lease()
        self.is_idle = True

    @property
    def is_owned(self) -> bool:
        """Whether it is ours, and not about to be another's."""
        return not self.is_idle and not self._leaving.is_set()

    @property
    def pending_count(self) -> int:
        """How many answers are owed: the fewer, the easier it is to hand over."""
        return self._waiting(self.number)

    async def acquire(self) -> bool:
        """Become the owner, who then has to `own` it; False while somebody else is."""
        lease = await self._recovery.acquire()
        if lease is None:
            return False
        failpoints.hit("partition acquired")
        self.lease, self.is_idle = lease, False
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

    def on_call_started(self) -> None:
        self._calls += 1
        self._quiet.clear()

    def on_call_ended(self) -> None:
        self._calls -= 1
        if not self._calls:
            self._quiet.set()

    def settle(self, effect: Settle) -> None:
        assert self._committer is not None
        self._committer.add(effect)

    def make_call_steps(self, digests: Sequence[str], place: int) -> CallSteps | None:
        """For a call, or a batch, of the commands that these identify; `None` while steps may overlap."""
        if not self._solo or self._guard is None:
            return None
        return CallSteps(self._guard, digests, place, self.lease.stop_sending)

    async def pause_before(self, in_hand: InHand) -> None:
        """Wait before the step, if a worker died in it before with one of these alone."""
        if self._guard is not None:
            await self._guard.pause_before(in_hand)

    async def wait_until_flushed(self) -> None:
        """Return when every settlement so far is durable."""
        if self._committer is not None:
            await self._committer.wait_until_flushed()

    async def wait_until_caught_up(self) -> None:
        """Return when all that waits in the broker is in memory, as far as there is room: what is cut
        before has less to merge."""
        await self._caught_up.wait()

    async def own(self) -> None:
        """Work until the partition was handed over, or lost."""
        try:
            await self._own_through_losses()
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
        """Become the owner again where the ledger may have lost its last writes.

        Raises `LeaseLost` when another worker was faster.
        """
        log.error("the ledger may have lost writes", partition=self.number, reason=reason)
        former = self.lease
        former.stop_sending()
        self._dispatch(Drain(self.number))
        self.lease = await self._recovery.reacquire()
        with bound_to(self.lease.history):
            quiet = asyncio.create_task(self._quiet.wait())
            keeping = asyncio.create_task(self.lease.renew_forever())
            try:
                await wait_for_first([keeping, quiet])
            finally:
                await cancel_all([keeping, quiet])
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
            ports.clock,
            replace(ports.caution, max_pending=ports.most_in_memory),
            self._solo,
            lambda: self._waiting(self.number) + committer.unwritten_count,
            self._dispatch,
            self._jitter,
        )
        committer = self._committer = Committer(
            self.number,
            source,
            ports.builder,
            ports.clock,
            on_written=self._written,
            guard=guard,
            lost_units=self._recovery.lost_units,
        )
        self._recovery.start_epoch(self.lease, committer)
        upkeep = [
            asyncio.create_task(self.lease.renew_forever()),
            asyncio.create_task(committer.run()),
            asyncio.create_task(_feed(source)),
            asyncio.create_task(_look_back(source, ports.lease_ttl_s / _LOOKS_PER_TTL)),
        ]
        reading = asyncio.create_task(self._read(source, committer, guard))
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await wait_for_first([*upkeep, reading, leaving])
            await cancel_all([reading])
            # Permits are for the other partitions from here on: they must not wait for this one.
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
        await self._quiet.wait()
        await committer.wait_until_idle()

    def _credit(self, committer: Committer) -> int:
        """How many more commands may be in memory. Those of an account that is down, beside others, have as
        much room again, each account for itself."""
        most = self._ports.max_pending
        spared = sum(min(most, count) for count in self._held_up(self.number).values())
        return most + spared - self._waiting(self.number) - committer.unwritten_count

    async def _wait_for_room(self) -> None:
        """Return when there may be room: something was settled, or an account has gone down since."""
        self._room.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN_S):
                await self._room.wait()

    async def _read(self, source: Log, committer: Committer, guard: PoisonGuard) -> None:
        ports = self._ports
        await committer.wait_until_rewritten()
        await self._recovery.rewrite_call_records(self.lease.epoch)
        owned = await self._load_inheritance()
        has_lost = is_uncertain = owned.quiet_until is not None
        self._dispatch(owned)
        held: deque[Entry] = deque()
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
            if not held and not chunk:
                held.extend(await retry_until_available("reading commands", partial(source.read, credit)))
                if not held:
                    self._caught_up.set()
                    is_uncertain = False
                    if has_lost and not self._waiting(self.number) and not committer.unwritten_count:
                        await retry_until_available("all that was lost is done again", self._forget_loss)
                        has_lost = False
                    continue
                if ports.dead_letter_cap.is_reached():
                    # It was reached while we waited for these: they are left where they are.
                    continue
            if not chunk:
                chunk = guard.select_messages(held)
            digests = guard.digests_of(chunk)
            failpoints.hit("messages in hand")
            strays = any(entry.stray is not None for entry in chunk)
            async with self._decoding, guard.run_as_step(Step.DECODE, digests):
                items = decode(chunk, credit, ports.intake, ports.clock)
            commands = [item for item in items if isinstance(item, Command)]
            await self._expect_replays(commands, committer)
            async with guard.run_as_step(Step.ADMIT, digests):
                facts = await retry_until_available(
                    "looking commands up", partial(ports.ledger.lookup, commands)
                )
                if strays or ports.partition_of is not None:
                    items = [self._refuse_if_misrouted(item, facts) for item in items]
                failpoints.hit("commands taken in")
                until = owned.quiet_until if is_uncertain else None
                self._dispatch(Delivered(self.number, items, facts, ports.clock.now(), until))
            if chunk or held or source.may_have_more:
                self._caught_up.clear()
            else:
                self._caught_up.set()
                # Whatever comes from here on was published after the ledger's loss.
                is_uncertain = False

    async def _expect_replays(self, commands: Sequence[Command], committer: Committer) -> None:
        """Let nothing escape that was decided since: not what is not written yet, nor what will be while
        the commands that are tried again are looked up."""
        groups = {command.group for command in commands if command.past is not None}
        if groups:
            self._dispatch(Expected(self.number, groups))
            await committer.wait_until_flushed()

    async def _forget_loss(self) -> None:
        await self._ports.ledger.clear_loss(self.number, self.lease.epoch)

    async def _load_inheritance(self) -> Owned:
        """What the last owner's calls mean for us."""
        load = partial(self._ports.ledger.read_previous_owner_state, self.number)
        left = await retry_until_available("looking up the last owner's calls", load)
        now = self._ports.clock.now()
        calls = left.doubts.items()
        doubts = {ref: [replace(one, until=now + one.until) for one in some] for ref, some in calls}
        quiet_until = None
        if left.lost_s_ago is not None:
            quiet_until = now - left.lost_s_ago + self._ports.call_lasts_s
            log.error(
                "the ledger may have lost writes of an owner that died: no call before all of its are over",
                partition=self.number,
                wait_s=round(max(0.0, quiet_until - now), 1),
            )
        return Owned(self.number, doubts, now, left.attempted, left.quarantined, quiet_until)

    def _refuse_if_misrouted(self, item: Command | Refusal, facts: Facts) -> Command | Refusal:
        """The item, or its refusal if it belongs elsewhere. A repeat gets the first answer anywhere."""
        if isinstance(item, Refusal) or item.key in facts.settled:
            return item
        partition_of, partitions = self._ports.partition_of, self._ports.partitions
        stray = item.origins[0].entry.stray is not None
        belongs = self.number
        if partition_of is not None:
            belongs = partition_of(item)
        elif stray:
            belongs = partition_by_handle(partitions)(item)
        return refuse_misrouted(item, belongs, partitions) if stray or belongs != self.number else item

    def _written(self, unit: Settlement) -> None:
        self._room.set()
        self._on_written(unit)


async def _feed(source: Log) -> None:
    while True:
        await retry_until_available("taking in what was published elsewhere", source.import_messages)


async def _look_back(source: Log, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await retry_until_available(
            "looking whether something lies behind what was read", source.check_position
        )
