"""RabbitMQ as a log, on kombu and py-amqp.

A queue for each partition, consumed by the holder of the lease. Settling has an order of effects: the
ledger under the fencing epoch, then the results, confirmed, then the acknowledgement (of replays: their end
in the side log, which is the ledger's). A crash between
them repeats results (under the same event ids), and loses nothing. What a lost connection leaves
unsettled is delivered again: the engine knows it by its source and id, and only its answers wait for
the message to come back.

What is answered and waits behind a message that is not stays with RabbitMQ, which delivers it again after a
crash. The ledger has a note on each such message: it is acknowledged then, and not answered again. So a crash
repeats at most the results of one unit: those that were sent, and not noted yet.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from redis.asyncio import Redis

from numbergroup.brokers import replay_stream
from numbergroup.brokers.amqp.connection_thread import connected
from numbergroup.brokers.amqp.consuming import Consumer, Consumers
from numbergroup.brokers.amqp.declared import examine
from numbergroup.brokers.amqp.delivery import Delivery
from numbergroup.brokers.amqp.losses import WrittenUnits
from numbergroup.brokers.amqp.publishing import Publisher
from numbergroup.brokers.amqp.results import Results
from numbergroup.brokers.amqp.settled_indexes import SettledIndexes, recall
from numbergroup.brokers.amqp.topology import Topology, waiting
from numbergroup.brokers.amqp.window import Window
from numbergroup.brokers.port import BrokerUnavailable, Log, StaleEpoch
from numbergroup.brokers.redis.broker import RedisBroker
from numbergroup.engine.commands import Entry
from numbergroup.engine.settling.dead_letters import DeadLetterRecord
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.ledger.history import HistoryChanged
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger

_WAIT_S = 1.0
_QUIET_S = 1.0
_HELD_BYTES = 256 * 1024 * 1024
_MOST_PREFETCH = 65_535
_DELIVERED = 3  # times what is in hand: at twice, of 80,000 messages 44,541 were acknowledged one by one
_LEAVING = 4_000
"""So many answers belong to the messages that are acknowledged at once: those a crash may repeat."""
_PASSED_OVER = 1_000

log = get_logger("rabbitmq")


def check(url: str, topology: Topology, *, accept_losses: bool) -> None:
    """Raises `UnfitServer` where no waiting helps, or a queue that is there loses commands;
    `BrokerUnavailable` for a broker that is away, or (`Unready`) a queue that another client keeps. Declares
    nothing. Blocks."""
    with connected(url) as connection:
        examine(connection, topology, accept_losses=accept_losses)


class AmqpBroker:
    """`in_hand`: how many messages of a partition may be worked at.

    The broker delivers three times as many: what comes next is here already, and what is settled behind an
    unsettled one can wait for it, to be acknowledged in one piece.
    """

    def __init__(
        self, url: str, ledger: Redis, record_ms: int, in_hand: int, heartbeat_s: int, topology: Topology
    ) -> None:
        self._url = url
        self._topology = topology
        self._consumers = Consumers(url, heartbeat_s, topology)
        self._publisher = Publisher(url, heartbeat_s, topology)
        self._client = ledger
        self._ledger = RedisBroker(ledger, record_ms)
        self._in_hand = min(in_hand, _MOST_PREFETCH)

    @property
    def is_partitioned_by_handle(self) -> bool:
        return self._topology.by_handle

    async def open(self) -> None:
        await asyncio.to_thread(self._establish)
        self._consumers.start()
        self._publisher.start()

    def _establish(self) -> None:
        with connected(self._url) as connection:
            self._topology.establish(connection)

    async def close(self) -> None:
        await asyncio.gather(asyncio.to_thread(self._consumers.stop), asyncio.to_thread(self._publisher.stop))

    def open_log(self, partition: int, epoch: int) -> "AmqpLog":
        records = self._ledger.open_log(partition, epoch)
        return AmqpLog(partition, records, self._client, self._consumers, self._publisher, self._in_hand)

    async def count_waiting(self, partitions: int) -> Mapping[int, int]:
        replays = await replay_stream.count_waiting_replays(self._client, partitions)
        found = await asyncio.to_thread(self._waiting, partitions)
        return {partition: count + replays[partition] for partition, count in found.items()}

    def _waiting(self, partitions: int) -> dict[int, int]:
        with connected(self._url) as connection:
            return waiting(connection, partitions)


@dataclass(slots=True)
class _Progress:
    """How far a unit has come: settling it again goes on from there. `write`: the number under which the
    ledger gets the unit."""

    serial: int
    replies: list[Reply] = field(default_factory=list)
    write: int = 0
    letters: list[DeadLetterRecord] = field(default_factory=list)
    recorded: bool = False
    over: bool = False


class AmqpLog:
    """See `numbergroup.brokers.port.Log`."""

    # Each takes a round trip to the broker and two to the ledger: with 1,000 it is a sixth slower.
    unit_size = 4_000

    def __init__(
        self,
        partition: int,
        records: Log,
        client: Redis,
        consumers: Consumers,
        publisher: Publisher,
        in_hand: int,
    ) -> None:
        self._partition = partition
        self._records = records
        self._consumers = consumers
        self._publisher = publisher
        self._loop = asyncio.get_running_loop()
        self._in_hand = in_hand
        self._tap = Consumer(partition, min(_DELIVERED * in_hand, _MOST_PREFETCH), self)
        self._opened = False
        self._window = Window(partition)
        self._expected = 0
        self._arrival = asyncio.Event()
        self._more = self._quiet = False
        self._client = client
        self._marks = SettledIndexes(partition)
        self._side = replay_stream.ReplayReader(client, partition, self._arrival)
        self._progress = _Progress(0, over=True)
        self._results = Results(publisher)
        self._writing = asyncio.Lock()
        self._writes = 0
        self._units = WrittenUnits()
        self.unsettled = 0

    async def read(self, credit: int) -> Sequence[Entry]:
        if not self._opened:
            states = await recall(self._client, self._partition, self._side.stream)
            self._window = Window(self._partition, returning=self._marks.recalled(states))
            self._opened = True
            self._consumers.open(self._tap)
            self._side.open()
        while True:
            if not self._window.unread and not self._side.has_entries:
                self._arrival.clear()
                try:
                    async with asyncio.timeout(_QUIET_S if self.may_have_more else _WAIT_S):
                        await self._arrival.wait()
                except TimeoutError:
                    self._quiet = True
            found = self._side.pop_entries(credit)
            found += await self._next(credit - len(found))
            if self._progress.over and self._window.is_head_settled:
                await self._acknowledge_returned()
            if found or not self.may_have_more:
                return found

    async def _next(self, most: int) -> list[Entry]:
        """What has come and is not answered, `most` at most."""
        found: list[Entry] = []
        passed = 0
        while len(found) < most and self._window.unread:
            entry = self._window.next()
            if entry is not None:
                found.append(entry)
                continue
            passed += 1
            if passed % _PASSED_OVER == 0:
                await asyncio.sleep(0)
        return found

    async def _acknowledge_returned(self) -> None:
        """No unit will do it: all of these were answered before their channel was lost."""
        with suppress(BrokerUnavailable):
            async with self._writing:
                if self._progress.over:
                    await self._release(Settlement(self._partition), self._room)

    @property
    def may_have_more(self) -> bool:
        if self._window.unread or self._side.has_entries:
            return True
        return not self._quiet and (self._more or self._window.received < self._expected)

    async def settle(self, unit: Settlement, serial: int) -> None:
        async with self._writing:
            if self._progress.serial != serial:
                self._writes += 1
                self._progress = _Progress(serial, list(unit.replies), self._writes)
                self._units.note(serial, self._writes)
            progress = self._progress
            if not progress.recorded:
                due = self._marks.due()
                written = replace(unit, replies=[], partial=[], replayed=[], done=[], unacknowledged=due)
                await self._records.settle(written, progress.write)
                self._marks.written(written)
                progress.recorded = True
                failpoints.hit("settled in the ledger")
            progress.replies, letters = self._results.fit_replies(progress.replies)
            progress.letters += letters
            if progress.letters:
                await self._record(Settlement(self._partition, dead_letters=progress.letters))
                progress.letters = []
            # What was confirmed is not said again.
            await self._results.send(progress.replies, progress.replies)
            failpoints.hit("results confirmed")
            self._marks.answered(self._window.settle(unit.done))
            await self._release(unit, self._room)
            progress.over = True

    @property
    def _room(self) -> int:
        prefetch = self._tap.prefetch
        return max(prefetch - self._in_hand, prefetch // 4)

    async def _release(self, unit: Settlement, room: int) -> None:
        """Note what is answered and must wait, and acknowledge what need not. The results of all that is
        settled are confirmed."""
        while True:
            window = self._window
            if window.all_came:
                self._marks.gone(window.returning.forget())
            leaving = window.leaving(room, _LEAVING)
            changes = self._marks.changes(unit, leaving.tags)
            if changes is not None:
                await self._record(changes)
                self._marks.written(changes)
                self._side.stream.settle(unit.replayed)
                unit = Settlement(self._partition)
                failpoints.hit("part of a message marked")
            if window is not self._window:
                # Its channel was lost meanwhile: these come again, and have no note any more.
                self._marks.answered({tag: window.total(tag) for tag in leaving.tags})
                continue
            if not leaving.numbers:
                return
            window.drop(leaving)
            self._marks.left(leaving.tags)
            self.unsettled = len(window)
            self._consumers.acknowledge(self._tap, window.generation, leaving.acknowledgements)

    def find_lost_part(
        self, unit: Settlement, serial: int, kept: int, *, published: bool
    ) -> Settlement | None:
        return self._units.find_lost_part(unit, serial, kept, published=published)

    async def restore(self, unit: Settlement, serial: int) -> None:
        self._writes += 1
        await self._records.settle(unit, self._units.note(serial, self._writes))

    async def import_messages(self) -> None:
        """There is one way in only."""
        await asyncio.Event().wait()

    async def check_position(self) -> None:
        """A queue keeps by itself what was not acknowledged; the side log is a stream."""
        await self._side.stream.check_position()

    async def close(self) -> None:
        if not self._opened:
            return
        self._opened = False
        self._side.close()
        # What waits behind a stuck message, answered, need not come to the next owner.
        with suppress(StaleEpoch, BrokerUnavailable, HistoryChanged):
            async with self._writing:
                if self._progress.over:
                    await self._release(Settlement(self._partition), room=0)
        closed = self._loop.create_future()

        def finish() -> None:
            if not closed.done():
                closed.set_result(None)

        self._consumers.close(self._tap, lambda: self._tell(finish))
        await closed
        self._forget()

    def opened(self, generation: int, waiting: int) -> None:
        self._tell(self._open, generation, waiting)

    def arrived(self, generation: int, deliveries: Sequence[Delivery], more: bool) -> None:
        self._tell(self._arrive, generation, deliveries, more)

    def lost(self, generation: int) -> None:
        self._tell(self._lose, generation)

    def _tell(self, what: Any, *said: Any) -> None:
        """From the consuming thread into the event loop, in order."""
        try:
            self._loop.call_soon_threadsafe(what, *said)
        except RuntimeError:
            # The loop is closed: nobody is interested any more.
            return

    def _open(self, generation: int, waiting: int) -> None:
        self._forget()
        self._window = Window(self._partition, generation, self._window.returning)
        self._expected = min(waiting, self._tap.prefetch)
        self._quiet = False

    def _lose(self, generation: int) -> None:
        if self._window.generation == generation:
            self._forget()

    def _forget(self) -> None:
        self._window = Window(self._partition, returning=self._window.void())
        self._more = False
        self.unsettled = self._expected = 0

    def _arrive(self, generation: int, deliveries: Sequence[Delivery], more: bool) -> None:
        window = self._window
        if window.generation != generation:
            return
        window.arrive(deliveries)
        self.unsettled = len(window)
        self._more, self._quiet = more, False
        self._arrival.set()
        if window.bytes > _HELD_BYTES and len(window) > 1:
            fewer = max(1, len(window) * _HELD_BYTES // (2 * window.bytes))
            log.warning("messages are large: taking fewer at once", prefetch=fewer, partition=self._partition)
            self._forget()
            self._consumers.reopen(self._tap, generation, fewer)

    async def _record(self, written: Settlement) -> None:
        """In the ledger; what may be written twice."""
        self._writes += 1
        await self._records.settle(written, self._writes)
