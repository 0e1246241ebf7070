"""Reads and settles one partition's queue.

A unit is settled in this order: it is written to the ledger under the fencing epoch, its results are
published and confirmed, and its messages are acknowledged. Replayed messages are deleted from the replay
stream, which is in the ledger. A crash in between repeats results (with the same event ids), and loses
nothing. What a lost connection leaves unacknowledged is delivered again. The engine recognizes it by source
and id; only its results wait for the redelivery.

An answered message behind an unanswered one stays in RabbitMQ, which delivers it again after a crash. The
ledger has a note on each such message: it is then acknowledged, and not answered again. So a crash repeats at
most the results of one unit: those that were sent, and not noted yet.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from numbergroup.brokers.amqp.consuming import Consumer, ConsumerThread
from numbergroup.brokers.amqp.delivery import Delivery
from numbergroup.brokers.amqp.publishing import Publisher
from numbergroup.brokers.amqp.results import ResultSender
from numbergroup.brokers.amqp.settle_progress import SettleProgress
from numbergroup.brokers.amqp.settled_indexes import SettledIndexes, load_notes
from numbergroup.brokers.amqp.window import Window
from numbergroup.brokers.amqp.written_units import WrittenUnits
from numbergroup.brokers.port import BrokerUnavailable, Log, StaleEpoch
from numbergroup.brokers.replay_stream import ReplayReader
from numbergroup.engine.commands import Entry
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger.history import HistoryChanged
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger

MAX_PREFETCH = 65_535
"""AMQP's limit."""
_READ_WAIT_S = 1.0
_MAX_WINDOW_BYTES = 256 * 1024 * 1024
_PREFETCH_FACTOR = 3
"""Times `max_in_work`. With 2, of 80,000 messages 44,541 were acknowledged one by one."""
_MAX_ANSWERS_AT_RISK = 4_000
"""The messages that are acknowledged at once have at most so many results: a crash may repeat these."""
_YIELD_INTERVAL = 1_000

log = get_logger("rabbitmq")


class QueueLog:
    """Implements `numbergroup.brokers.port.Log` on one partition's queue.

    RabbitMQ delivers three times as many messages as may be in work. So the next ones are here already, and
    settled messages behind an unsettled one can wait for it, to be acknowledged in one piece.
    """

    # Each unit takes a round trip to the broker and two to the ledger: 1,000 make it a sixth slower.
    unit_size = 4_000

    def __init__(
        self,
        partition: int,
        ledger: Redis,
        *,
        ledger_log: Log,
        consumers: ConsumerThread,
        publisher: Publisher,
        max_in_work: int,
    ) -> None:
        self._partition = partition
        self._ledger = ledger
        self._ledger_log = ledger_log
        self._consumers = consumers
        self._consumer = Consumer(partition, min(_PREFETCH_FACTOR * max_in_work, MAX_PREFETCH), self)
        self._max_in_work = max_in_work
        self._loop = asyncio.get_running_loop()
        self._is_open = False
        self._window = Window(partition)
        self._settled_indexes = SettledIndexes(partition)
        self._arrival = asyncio.Event()
        self._replays = ReplayReader(ledger, partition, self._arrival)
        self._expected_count = 0
        self._has_more_input = False
        self._is_quiet = False
        self._result_sender = ResultSender(publisher)
        self._progress = SettleProgress(0, is_done=True)
        self._settling = asyncio.Lock()
        self._last_write_serial = 0
        self._written_units = WrittenUnits()
        self.unacknowledged = 0

    async def read(self, credit: int) -> Sequence[Entry]:
        if not self._is_open:
            notes = await load_notes(self._ledger, self._partition, self._replays.stream)
            self._window = Window(self._partition, redeliveries=self._settled_indexes.adopt(notes))
            self._is_open = True
            self._consumers.add(self._consumer)
            self._replays.open()
        while True:
            if not self._window.unread and not self._replays.has_entries:
                self._arrival.clear()
                try:
                    async with asyncio.timeout(_READ_WAIT_S):
                        await self._arrival.wait()
                except TimeoutError:
                    self._is_quiet = True
            entries = self._replays.pop_entries(credit)
            entries += await self._read_unread(credit - len(entries))
            if self._progress.is_done and self._window.is_head_settled:
                await self._acknowledge_redelivered()
            if entries or not self.may_have_more:
                return entries

    async def _read_unread(self, max_count: int) -> list[Entry]:
        """Return unread messages that are not answered, at most `max_count`."""
        entries: list[Entry] = []
        skipped = 0
        while len(entries) < max_count and self._window.unread:
            entry = self._window.read_next()
            if entry is not None:
                entries.append(entry)
                continue
            skipped += 1
            if skipped % _YIELD_INTERVAL == 0:
                await asyncio.sleep(0)
        return entries

    async def _acknowledge_redelivered(self) -> None:
        """Acknowledge messages that were answered before their channel was lost: no further unit has them."""
        with suppress(BrokerUnavailable):
            async with self._settling:
                if self._progress.is_done:
                    await self._acknowledge(Settlement(self._partition), self._max_retained)

    @property
    def may_have_more(self) -> bool:
        if self._window.unread or self._replays.has_entries:
            return True
        is_incomplete = self._has_more_input or self._window.received < self._expected_count
        return is_incomplete and not self._is_quiet

    async def settle(self, unit: Settlement, serial: int) -> None:
        async with self._settling:
            if self._progress.serial != serial:
                write_serial = self._next_write_serial()
                self._progress = SettleProgress(serial, list(unit.replies), write_serial)
                self._written_units.register(serial, write_serial)
            progress = self._progress
            if not progress.is_recorded:
                due = self._settled_indexes.collect_due()
                written = replace(unit, replies=[], partial=[], replayed=[], done=[], unacknowledged=due)
                await self._ledger_log.settle(written, progress.write_serial)
                self._settled_indexes.confirm_written(written)
                progress.is_recorded = True
                failpoints.hit("settled in the ledger")
            progress.replies, dead_letters = self._result_sender.fit_replies(progress.replies)
            progress.dead_letters += dead_letters
            if progress.dead_letters:
                await self._write(Settlement(self._partition, dead_letters=progress.dead_letters))
                progress.dead_letters = []
            await self._result_sender.send(progress.replies)
            failpoints.hit("results confirmed")
            self._settled_indexes.add_answered(self._window.settle(unit.done))
            await self._acknowledge(unit, self._max_retained)
            progress.is_done = True

    @property
    def _max_retained(self) -> int:
        """How many settled messages may wait behind an unsettled one."""
        prefetch = self._consumer.prefetch
        return max(prefetch - self._max_in_work, prefetch // 4)

    async def _acknowledge(self, unit: Settlement, max_retained: int) -> None:
        """Write notes on answered messages that must wait, and acknowledge the others.

        The results of all settled messages must be confirmed before.
        """
        while True:
            window = self._window
            if window.has_all_redeliveries:
                self._settled_indexes.drop_missing(window.redeliveries.clear())
            messages = window.find_acknowledgeable(max_retained, _MAX_ANSWERS_AT_RISK)
            changes = self._settled_indexes.collect_changes(unit, messages.entry_tags)
            if changes is not None:
                await self._write(changes)
                self._settled_indexes.confirm_written(changes)
                self._replays.stream.settle(unit.replayed)
                unit = Settlement(self._partition)
                failpoints.hit("part of a message marked")
            if window is not self._window:
                # The channel was lost meanwhile: these come again, and their notes were removed.
                self._settled_indexes.add_answered(
                    {tag: window.event_count(tag) for tag in messages.entry_tags}
                )
                continue
            if not messages.delivery_tags:
                return
            window.remove(messages)
            self._settled_indexes.confirm_acknowledged(messages.entry_tags)
            self.unacknowledged = len(window)
            self._consumers.acknowledge(self._consumer, window.generation, messages.acknowledgements)

    async def _write(self, changes: Settlement) -> None:
        """Write to the ledger what may be written twice."""
        await self._ledger_log.settle(changes, self._next_write_serial())

    def _next_write_serial(self) -> int:
        self._last_write_serial += 1
        return self._last_write_serial

    def find_lost_part(
        self, unit: Settlement, serial: int, kept: int, *, published: bool
    ) -> Settlement | None:
        return self._written_units.find_lost_part(unit, serial, kept, published=published)

    async def restore(self, unit: Settlement, serial: int) -> None:
        write_serial = self._written_units.register(serial, self._next_write_serial())
        await self._ledger_log.settle(unit, write_serial)

    async def import_messages(self) -> None:
        """Wait: all messages are published to the queue."""
        await asyncio.Event().wait()

    async def check_position(self) -> None:
        """Check the replay stream only: the queue itself keeps what is not acknowledged."""
        await self._replays.stream.check_position()

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._replays.close()
        # The next owner need not receive answered messages that wait behind a stuck one.
        with suppress(StaleEpoch, BrokerUnavailable, HistoryChanged):
            async with self._settling:
                if self._progress.is_done:
                    await self._acknowledge(Settlement(self._partition), max_retained=0)
        removed = asyncio.Event()
        self._consumers.remove(self._consumer, lambda: self._call_in_loop(removed.set))
        await removed.wait()
        self._void_window()

    def on_opened(self, generation: int, waiting: int) -> None:
        self._call_in_loop(self._start_window, generation, waiting)

    def on_deliveries(self, generation: int, deliveries: Sequence[Delivery], has_more: bool) -> None:
        self._call_in_loop(self._add_deliveries, generation, deliveries, has_more)

    def on_lost(self, generation: int) -> None:
        self._call_in_loop(self._lose_window, generation)

    def _call_in_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call from the consuming thread into the event loop; calls stay in order."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop is closed, and the log no longer used.
            return

    def _start_window(self, generation: int, waiting: int) -> None:
        self._void_window()
        self._window = Window(self._partition, generation, self._window.redeliveries)
        self._expected_count = min(waiting, self._consumer.prefetch)
        self._is_quiet = False

    def _lose_window(self, generation: int) -> None:
        if self._window.generation == generation:
            self._void_window()

    def _void_window(self) -> None:
        self._window = Window(self._partition, redeliveries=self._window.void())
        self._has_more_input = False
        self.unacknowledged = self._expected_count = 0

    def _add_deliveries(self, generation: int, deliveries: Sequence[Delivery], has_more: bool) -> None:
        window = self._window
        if window.generation != generation:
            return
        window.add_unread(deliveries)
        self.unacknowledged = len(window)
        self._has_more_input, self._is_quiet = has_more, False
        self._arrival.set()
        if window.bytes > _MAX_WINDOW_BYTES and len(window) > 1:
            prefetch = max(1, len(window) * _MAX_WINDOW_BYTES // (2 * window.bytes))
            log.warning(
                "messages are large: taking fewer at once", prefetch=prefetch, partition=self._partition
            )
            self._void_window()
            self._consumers.reopen(self._consumer, generation, prefetch)
