"""The broker of a simulated world. Its log that settles in one step is here, as on Redis."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from numbergroup.brokers.port import BrokerUnavailable, Log, StaleEpoch
from numbergroup.engine.commands import Entry
from numbergroup.engine.settling.settlement import Reply, Settlement
from simulation.ledger import SimulatedLedger
from simulation.loop import Process
from simulation.plans import Message
from simulation.stepwise import Queue, StepwiseLog
from simulation.world import World

_BLOCK_S = 2.0


class SimulatedBroker:
    """What was published, what is left of it by partition, and the answers. `published` is in log order."""

    is_partitioned_by_handle = True

    def __init__(self, world: World, ledger: SimulatedLedger) -> None:
        self.world = world
        self.ledger = ledger
        self.published: list[list[Message]] = [[] for _ in range(world.plan.partitions)]
        self.left: list[dict[int, Message]] = [{} for _ in range(world.plan.partitions)]
        self.replies: list[Any] = []
        self.may_repeat = 0
        """How many answers may have been repeated: those of units in flight, and of acknowledgements on their
        way, when a process died or lost its connection; and those whose confirmation was lost."""
        self.changed: list[list[Any]] = [[] for _ in range(world.plan.partitions)]
        """Whoever waits for news of a partition: its consumers."""
        self.queues = [Queue(self, number) for number in range(world.plan.partitions)]
        self.to_come = len(world.plan.messages)
        for message in world.plan.messages:
            world.loop.later(message.at, self._publish, message)
        if not world.plan.transactional:
            world.on_loss.append(self._lose)

    def _publish(self, message: Message) -> None:
        self.to_come -= 1
        number = message.partition
        serial = len(self.published[number])
        self.world.note(f"published {number}:{serial} {message.body.decode(errors='replace')}")
        self.published[number].append(message)
        self.left[number][serial] = message
        if not self.world.plan.transactional:
            self.queues[number].add(serial, message.body)
        self.tell(number)

    def tell(self, number: int) -> None:
        """There is something to read in the partition."""
        waiting, self.changed[number] = self.changed[number], []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _lose(self, number: int | None, process: Process | None) -> None:
        for queue in self.queues if number is None else [self.queues[number]]:
            queue.lose(process)

    @property
    def is_empty(self) -> bool:
        return not self.to_come and not any(self.left) and not self.ledger.book.side

    async def open(self) -> None:
        """There is nothing to declare."""

    async def close(self) -> None:
        """Nothing is held."""

    def open_log(self, partition: int, epoch: int) -> Log:
        kind = OneStepLog if self.world.plan.transactional else StepwiseLog
        return kind(self, partition, epoch)

    async def count_waiting(self, partitions: int) -> Mapping[int, int]:
        return {number: len(self.left[number]) for number in range(partitions)}

    def answer(self, reply: Reply) -> None:
        self.replies += self._said(reply)

    def count(self, reply: Reply) -> int:
        """How many answers are in it."""
        return len(self._said(reply))

    @staticmethod
    def _said(reply: Reply) -> list[Any]:
        said = orjson.loads(reply.body)
        return said if isinstance(said, list) else [said]


class OneStepLog:
    """See `numbergroup.brokers.port.Log`."""

    unit_size = 4_000

    def __init__(self, broker: SimulatedBroker, partition: int, epoch: int) -> None:
        self._broker = broker
        self._world = broker.world
        self._partition = partition
        self._epoch = epoch
        self._cursor = -1
        self._side_cursor = 0
        self._partial: dict[str, set[int]] | None = None
        self.may_have_more = False

    async def read(self, credit: int) -> Sequence[Entry]:
        count = min(credit, self._world.plan.read_count)
        entries: list[Entry] = await self._world.ask("broker", "read", partial(self._take, count))
        if entries:
            replays = [entry for entry in entries if entry.replay is not None]
            self._side_cursor = self._broker.ledger.side_end(self._partition, replays, self._side_cursor)
            self._cursor = max([self._cursor, *(int(one.tag) for one in entries if one.replay is None)])
            self.may_have_more = len(entries) >= count
            return entries
        if not self.may_have_more:
            await self._news()
        self.may_have_more = False
        return []

    def _take(self, count: int) -> list[Entry]:
        if self._partial is None:
            self._partial = dict(self._broker.ledger.partial[self._partition])
        entries: list[Entry] = []
        for serial, message in self._broker.left[self._partition].items():
            if serial > self._cursor and len(entries) < count:
                settled = self._partial.get(str(serial), ())
                entries.append(Entry(self._partition, str(serial), message.body, settled=set(settled)))
        more = count - len(entries)
        return entries + self._broker.ledger.side(self._partition, self._side_cursor, more)

    async def _news(self) -> None:
        world = self._world
        if any(serial > self._cursor for serial in self._broker.left[self._partition]):
            return
        if self._broker.ledger.side(self._partition, self._side_cursor, 1):
            return
        future = world.loop.create_future()
        self._broker.changed[self._partition].append(future)
        world.loop.later(_BLOCK_S, lambda: future.done() or future.set_result(None))
        await future

    async def check_position(self) -> None:
        """Nothing comes behind what was read."""

    def find_lost_part(
        self, unit: Settlement, serial: int, kept: int, *, published: bool
    ) -> Settlement | None:
        return unit if serial > kept else None

    async def restore(self, unit: Settlement, serial: int) -> None:
        await self.settle(unit, serial)

    async def import_messages(self) -> None:
        await self._world.loop.create_future()

    async def settle(self, unit: Settlement, serial: int) -> None:
        def settle() -> None:
            if unit.dead_letters and self._world.letters_fail:
                self._world.letters_fail -= 1
                raise BrokerUnavailable("no room for dead letters")
            written = self._broker.ledger.write(unit, self._epoch, serial)
            if written is None:
                raise StaleEpoch(f"partition {self._partition}: epoch {self._epoch} is over")
            if written:
                for tag in unit.done:
                    self._broker.left[self._partition].pop(int(tag), None)
                for reply in unit.replies:
                    self._broker.answer(reply)

        await self._world.ask("broker", "settle", settle)

    async def close(self) -> None:
        """Nothing was taken, so nothing has to be given back."""
