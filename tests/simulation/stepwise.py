"""A queue, and its log that settles in steps, as over AMQP: what happens between two of them shows."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from numbergroup.brokers.amqp.delivery import Delivery, read_properties
from numbergroup.brokers.amqp.redelivery import PartlySettled, Settled, State
from numbergroup.brokers.amqp.settled_indexes import SettledIndexes
from numbergroup.brokers.amqp.window import Window
from numbergroup.brokers.amqp.written_units import WrittenUnits
from numbergroup.brokers.port import BrokerUnavailable, StaleEpoch
from numbergroup.engine.commands import Entry
from numbergroup.engine.replays import REPLAY_TAG_PREFIX
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.ledger.history import HistoryChanged
from numbergroup.ledger.port import LedgerUnavailable
from simulation.loop import PROCESS, Process

if TYPE_CHECKING:
    from simulation.broker import SimulatedBroker

_BLOCK_S = 2.0
_RECONNECT_S = 0.3
_LEAVING = 3
"""Fewer than in earnest: as few messages as there are in a plan make several steps."""


class Queue:
    """A queue with a single active consumer: the first in line."""

    def __init__(self, broker: "SimulatedBroker", number: int) -> None:
        self._broker = broker
        self._world = broker.world
        self._number = number
        self._ready: list[tuple[int, bytes, bool]] = []
        self._unacked: dict[int, tuple[int, bytes, bool]] = {}
        self._line: list[StepwiseLog] = []
        self._logs: list[StepwiseLog] = []
        self._tags = 0

    def watch(self, log: "StepwiseLog") -> None:
        """Whatever it has in flight when it is lost may be repeated."""
        self._logs.append(log)

    def add(self, serial: int, body: bytes) -> None:
        self._ready.append((serial, body, False))
        self._deliver()

    def join(self, log: "StepwiseLog") -> int:
        """Stand in line; the answer is how many messages wait."""
        if log.process is None or not log.process.alive:
            return 0
        self._line.append(log)
        self._world.loop.later(0.0, self._deliver)
        return len(self._ready)

    def leave(self, log: "StepwiseLog") -> None:
        """Its channel is closed: what it did not acknowledge is delivered again, in its place."""
        if log not in self._line:
            return
        self._broker.may_repeat += log.exposed
        active = self._line[0] is log
        self._line.remove(log)
        if active:
            again = [(serial, body, True) for serial, body, _ in self._unacked.values()]
            self._ready = sorted(again + self._ready)
            self._unacked = {}
            self._deliver()

    def lose(self, process: Process | None) -> None:
        """The connections of this process are lost, or all."""
        for log in list(self._logs):
            if process is None or log.process is process:
                if log not in self._line:
                    self._broker.may_repeat += log.exposed
                    continue
                self.leave(log)
                log.tell(log.lost, log.generation)

    def acknowledge(self, log: "StepwiseLog", answers: int, tags: Sequence[tuple[int, bool]]) -> None:
        if not self._line or self._line[0] is not log:
            # It has not heard yet that its connection is lost.
            self._broker.may_repeat += answers
            return
        for tag, multiple in tags:
            for number in [one for one in self._unacked if one <= tag] if multiple else [tag]:
                serial, _, _ = self._unacked.pop(number)
                del self._broker.left[self._number][serial]
        self._deliver()

    def _deliver(self) -> None:
        if not self._line or not self._ready or self._world.is_away("broker"):
            return
        log = self._line[0]
        room = self._world.plan.max_pending - len(self._unacked)
        some, self._ready = self._ready[:room], self._ready[room:]
        deliveries = []
        for serial, body, again in some:
            self._tags += 1
            self._unacked[self._tags] = (serial, body, again)
            deliveries.append(Delivery(self._tags, "numbergroup.commands", body, read_properties({}), again))
        if deliveries:
            log.tell(log.arrived, log.generation, deliveries)


@dataclass(slots=True)
class _Progress:
    serial: int
    replies: Sequence[Reply]
    write: int = 0
    answers: int = 0
    recorded: bool = False
    over: bool = False


@dataclass(eq=False)
class StepwiseLog:
    """See `numbergroup.brokers.port.Log`, and `numbergroup.brokers.amqp.queue_log`, whose steps these are."""

    unit_size: ClassVar[int] = 4_000
    broker: "SimulatedBroker"
    partition: int
    epoch: int
    generation: int = 0
    _opened: bool = False
    _connected: bool = False
    _fresh: deque[Entry] = field(default_factory=deque)
    _progress: _Progress = field(default_factory=lambda: _Progress(0, (), over=True))
    _acknowledging: list[tuple[int, int, list[tuple[int, bool]]]] = field(default_factory=list)
    _leaving: int = 0
    _writes: int = 0
    _units: WrittenUnits = field(default_factory=WrittenUnits)
    _expected: int = 0
    _side_cursor: int = 0

    def __post_init__(self) -> None:
        self.world = self.broker.world
        self.queue = self.broker.queues[self.partition]
        self.process = PROCESS.get()
        self._context = copy_context()
        self._window = Window(self.partition)
        self._settled_indexes = SettledIndexes(self.partition)
        self._writing = asyncio.Lock()
        self._arrival = asyncio.Event()
        self.queue.watch(self)

    @property
    def exposed(self) -> int:
        """How many answers a loss at this moment may repeat: those of the unit, or of the messages whose
        notes are removed and which are about to be acknowledged; and of acknowledgements on their way."""
        unit = 0 if self._progress.over else self._progress.answers
        return max(unit, self._leaving) + sum(answers for _, answers, _ in self._acknowledging)

    def tell(self, what: Any, *said: Any) -> None:
        """From the broker's connection to the process, in order; a frozen one hears it later."""
        self.world.loop.call_later(0.001, what, *said, context=self._context)

    async def read(self, credit: int) -> Sequence[Entry]:
        if not self._opened:
            found = await self.world.ask("ledger", "recall", self._recall)
            self._window = Window(self.partition, redeliveries=self._settled_indexes.adopt(found))
            self._opened = True
            await self._connect()
        replays = await self._replays(credit)
        if replays:
            return replays
        if not self._fresh:
            self._arrival.clear()
            try:
                async with asyncio.timeout(0.3 if self.may_have_more else _BLOCK_S):
                    await self._arrival.wait()
            except TimeoutError:
                self._expected = 0
        if self._progress.over and self._window.is_head_settled:
            with suppress(BrokerUnavailable):
                async with self._writing:
                    if self._progress.over:
                        await self._release(Settlement(self.partition), self.world.plan.max_pending // 4)
        return [self._fresh.popleft() for _ in range(min(credit, len(self._fresh)))]

    async def _replays(self, credit: int) -> Sequence[Entry]:
        """What is new in the side log, which is the ledger's."""
        ledger, number = self.broker.ledger, self.partition
        if not ledger.side(number, self._side_cursor, 1):
            return ()
        ask = partial(ledger.side, number, self._side_cursor, credit)
        try:
            found: list[Entry] = await self.world.ask("ledger", "read side", ask)
        except LedgerUnavailable as error:
            raise BrokerUnavailable(str(error)) from error
        self._side_cursor = ledger.side_end(number, found, self._side_cursor)
        return found

    def _recall(self) -> dict[str, State]:
        ledger, number = self.broker.ledger, self.partition
        parts = {
            tag: some for tag, some in ledger.partial[number].items() if not tag.startswith(REPLAY_TAG_PREFIX)
        }
        states: dict[str, State] = {tag: PartlySettled(frozenset(some)) for tag, some in parts.items()}
        return states | {tag: Settled(total) for tag, total in ledger.unacknowledged[number].items()}

    @property
    def may_have_more(self) -> bool:
        return bool(self._fresh) or self._window.received < self._expected

    async def _connect(self) -> None:
        def join() -> int:
            if not self._opened:
                return 0
            self._connected = True
            self.generation += 1
            return self.queue.join(self)

        while self._opened and not self._connected:
            try:
                waiting = await self.world.ask("broker", "consume", join)
            except BrokerUnavailable:
                await asyncio.sleep(_RECONNECT_S)
                continue
            self._expected = min(waiting, self.world.plan.max_pending)

    def arrived(self, generation: int, deliveries: Sequence[Delivery]) -> None:
        if generation != self.generation or not self._opened:
            return
        if self._window.generation != generation:
            self._window = Window(self.partition, generation, self._window.redeliveries)
        for delivery in deliveries:
            entry = self._window.hold(delivery)
            self.world.fired["redelivered"] += delivery.redelivered
            if entry is None:
                self.world.fired["answered already"] += 1
            else:
                self._fresh.append(entry)
        self._arrival.set()

    def lost(self, generation: int) -> None:
        if generation != self.generation:
            return
        self._connected = False
        self._forget()
        if self._opened:
            self.world.loop.create_task(self._connect())

    def _forget(self) -> None:
        self._window = Window(self.partition, redeliveries=self._window.void())
        self._fresh.clear()
        self._expected = 0

    async def settle(self, unit: Settlement, serial: int) -> None:
        async with self._writing:
            if self._progress.serial != serial:
                self._writes += 1
                self._progress = _Progress(serial, unit.replies, self._writes, unit.answered)
                self._units.register(serial, self._writes)
            progress = self._progress
            if not progress.recorded:
                due = self._settled_indexes.collect_due()
                written = replace(unit, replies=[], partial=[], replayed=[], done=[], unacknowledged=due)
                await self._write(written, progress.write)
                self._settled_indexes.confirm_written(written)
                progress.recorded = True
            while progress.replies:
                await self._publish(progress.replies[0])
                progress.replies = progress.replies[1:]
            self._settled_indexes.add_answered(self._window.settle(unit.done))
            await self._release(unit, self.world.plan.max_pending // 4)
            progress.over = True

    async def _publish(self, reply: Reply) -> None:
        try:
            await self.world.ask("broker", "publish", partial(self.broker.answer, reply))
        except BrokerUnavailable:
            # What is lost may be its confirmation: it is published again.
            self.broker.may_repeat += self.broker.count(reply)
            raise

    async def _release(self, unit: Settlement, room: int) -> None:
        while True:
            window = self._window
            if window.has_all_redeliveries:
                self._settled_indexes.drop_missing(window.redeliveries.clear())
            leaving = window.find_acknowledgeable(room, _LEAVING)
            changes = self._settled_indexes.collect_changes(unit, leaving.entry_tags)
            self._leaving = answers = sum(window.event_count(tag) for tag in leaving.entry_tags)
            if changes is not None:
                self._writes += 1
                await self._write(changes, self._writes)
                self._settled_indexes.confirm_written(changes)
                unit = Settlement(self.partition)
            if window is not self._window:
                self._settled_indexes.add_answered(
                    {tag: window.event_count(tag) for tag in leaving.entry_tags}
                )
                continue
            if not leaving.delivery_tags:
                return
            window.remove(leaving)
            self._settled_indexes.confirm_acknowledged(leaving.entry_tags)
            self._leaving = 0
            if self._connected:
                self._acknowledging.append((self.generation, answers, leaving.acknowledgements))
                self.world.loop.later(self.world.lag(), self._arrive)

    async def _write(self, unit: Settlement, serial: int) -> None:
        def write() -> None:
            if unit.dead_letters and self.world.letters_fail:
                self.world.letters_fail -= 1
                raise BrokerUnavailable("no room for dead letters")
            if self.broker.ledger.write(unit, self.epoch, serial) is None:
                raise StaleEpoch(f"partition {self.partition}: epoch {self.epoch} is over")

        try:
            await self.world.ask("ledger", "settle", write)
        except Exception as error:
            if isinstance(error, StaleEpoch | HistoryChanged):
                raise
            raise BrokerUnavailable(str(error)) from error

    def _arrive(self) -> None:
        """Acknowledgements arrive in order; those of a lost connection do not."""
        sent, self._acknowledging = self._acknowledging, []
        for generation, answers, tags in sent:
            if generation == self.generation:
                self.queue.acknowledge(self, answers, tags)

    async def check_position(self) -> None:
        """Nothing comes behind what was read."""

    def find_lost_part(
        self, unit: Settlement, serial: int, kept: int, *, published: bool
    ) -> Settlement | None:
        return self._units.find_lost_part(unit, serial, kept, published=published)

    async def restore(self, unit: Settlement, serial: int) -> None:
        self._writes += 1
        await self._write(unit, self._units.register(serial, self._writes))

    async def import_messages(self) -> None:
        await self.world.loop.create_future()

    async def close(self) -> None:
        if not self._opened:
            return
        self._opened = False
        with suppress(StaleEpoch, BrokerUnavailable, HistoryChanged):
            async with self._writing:
                if self._progress.over:
                    await self._release(Settlement(self.partition), room=0)

        def close() -> None:
            self._arrive()
            self.queue.leave(self)

        try:
            await self.world.ask("broker", "close", close)
        except BrokerUnavailable:
            self.queue.leave(self)
        self._forget()
