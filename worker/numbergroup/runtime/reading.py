"""Reads a partition's commands: from the broker, through decoding and look-up, into the engine."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from numbergroup.brokers.port import Log
from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.events import Delivered, Event, LookupResult, ReplaysExpected
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.engine.verdicts import Refusal
from numbergroup.observability import failpoints
from numbergroup.runtime.committer import Committer
from numbergroup.runtime.decoding import decode
from numbergroup.runtime.poison_guard import PoisonGuard
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.retrying import retry_until_available
from numbergroup.runtime.routing import partition_by_handle, refuse_misrouted

_ROOM_POLL_S = 1.0


class PartitionReader:
    """Reads one partition's messages, as many as fit into memory, and delivers their commands to the engine.

    `dispatch` passes an event to the engine. `caught_up` is set while everything that waits in the broker is
    in memory, or the memory is full. `clear_loss` records that a loss of the ledger is made good.
    """

    def __init__(
        self,
        number: int,
        ports: Ports,
        source: Log,
        *,
        committer: Committer,
        guard: PoisonGuard,
        dispatch: Callable[[Event], object],
        count_pending: Callable[[int], int],
        blocked_counts: Callable[[int], Mapping[str, int]],
        decode_lock: asyncio.Lock,
        caught_up: asyncio.Event,
        clear_loss: Callable[[], Awaitable[None]],
    ) -> None:
        self._number = number
        self._ports = ports
        self._source = source
        self._committer = committer
        self._guard = guard
        self._dispatch = dispatch
        self._count_pending = count_pending
        self._blocked_counts = blocked_counts
        self._decode_lock = decode_lock
        self._caught_up = caught_up
        self._clear_loss = clear_loss
        self._unread: deque[Entry] = deque()
        self._chunk: deque[Entry] = deque()
        self._may_have_room = asyncio.Event()
        self._quiet_until: float | None = None
        self._may_be_done = self._has_loss = False

    def check_room(self) -> None:
        """Compare the memory with its limit again: commands were settled."""
        self._may_have_room.set()

    async def run(self, quiet_until: float | None) -> None:
        """Read until cancelled.

        `quiet_until`: set after a loss of the ledger; no call starts before (Unix seconds). Messages that
        were published before the loss may have been carried out by the previous owner.
        """
        self._quiet_until = quiet_until
        self._may_be_done = self._has_loss = quiet_until is not None
        cap = self._ports.dead_letter_cap
        await self._guard.open()
        while True:
            await self._guard.review()
            credit = self._credit()
            if credit <= 0:
                self._caught_up.set()
                await self._wait_for_room()
            elif cap.is_reached():
                self._caught_up.set()
                await cap.wait_for_room()
            elif self._unread or self._chunk or await self._read(credit):
                await self._deliver(credit)

    def _credit(self) -> int:
        """Return how many more commands may be read into memory; may be negative.

        Commands blocked by an account that is down do not count, up to `max_pending` of each account: they
        must not keep out those of other accounts.
        """
        max_pending = self._ports.max_pending
        blocked = sum(min(max_pending, count) for count in self._blocked_counts(self._number).values())
        return max_pending + blocked - self._count_unsettled()

    def _count_unsettled(self) -> int:
        return self._count_pending(self._number) + self._committer.unwritten_count

    async def _wait_for_room(self) -> None:
        """Return after a settlement, or after a second: an account that goes down makes room, too."""
        self._may_have_room.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_ROOM_POLL_S):
                await self._may_have_room.wait()

    async def _read(self, credit: int) -> bool:
        """Read messages, and return whether they may be delivered now."""
        read = partial(self._source.read, credit)
        self._unread.extend(await retry_until_available("reading commands", read))
        if self._unread:
            # If the cap was reached during the read, these messages wait until there is room.
            return not self._ports.dead_letter_cap.is_reached()
        self._caught_up.set()
        self._may_be_done = False
        if self._has_loss and not self._count_unsettled():
            await retry_until_available("recording that the loss is made good", self._clear_loss)
            self._has_loss = False
        return False

    async def _deliver(self, credit: int) -> None:
        """Decode the next messages, look their commands up, and deliver them to the engine."""
        ports, guard = self._ports, self._guard
        if not self._chunk:
            self._chunk = guard.select_messages(self._unread)
        digests = guard.digests_of(self._chunk)
        failpoints.hit("messages in hand")
        has_strays = any(entry.stray_queue is not None for entry in self._chunk)
        async with self._decode_lock, guard.run_as_step(Step.DECODE, digests):
            items = decode(self._chunk, credit, ports.intake, ports.clock)
        commands = [item for item in items if isinstance(item, Command)]
        await self._expect_replays(commands)
        async with guard.run_as_step(Step.ADMIT, digests):
            look_up = partial(ports.ledger.lookup, commands)
            facts = await retry_until_available("looking commands up", look_up)
            if has_strays or ports.partition_of is not None:
                items = [self._refuse_if_misrouted(item, facts) for item in items]
            failpoints.hit("commands looked up")
            until = self._quiet_until if self._may_be_done else None
            self._dispatch(Delivered(self._number, items, facts, ports.clock.now(), until))
        if self._chunk or self._unread or self._source.may_have_more:
            self._caught_up.clear()
        else:
            self._caught_up.set()
            # Messages that arrive from now on were published after the ledger's loss.
            self._may_be_done = False

    async def _expect_replays(self, commands: Sequence[Command]) -> None:
        """Prepare for replayed commands, so that their look-up misses no later decision on their groups.

        The engine keeps the decisions made from now on; earlier ones are durable when this returns.
        """
        groups = {command.group for command in commands if command.retry_history is not None}
        if groups:
            self._dispatch(ReplaysExpected(self._number, groups))
            await self._committer.wait_until_flushed()

    def _refuse_if_misrouted(self, item: Command | Refusal, facts: LookupResult) -> Command | Refusal:
        """Return the item, or a refusal if it belongs in another partition.

        A repeat of a settled command is not refused: it gets its first answer in any partition.
        """
        if isinstance(item, Refusal) or item.key in facts.settled:
            return item
        partition_of, partitions = self._ports.partition_of, self._ports.partitions
        is_stray = item.origins[0].entry.stray_queue is not None
        right_partition = self._number
        if partition_of is not None:
            right_partition = partition_of(item)
        elif is_stray:
            right_partition = partition_by_handle(partitions)(item)
        if is_stray or right_partition != self._number:
            return refuse_misrouted(item, right_partition, partitions)
        return item
