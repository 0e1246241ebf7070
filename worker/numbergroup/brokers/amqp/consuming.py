"""Consuming: one channel for each partition that is owned, all on one connection."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from struct import Struct
from typing import Any, Protocol

from amqp.exceptions import ChannelError

from numbergroup.brokers.amqp.connection_thread import FAILURES, ConnectionThread
from numbergroup.brokers.amqp.delivery import Delivery, Properties
from numbergroup.brokers.amqp.topology import DEAD, Topology, strays
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import command_queue

_SUSPICIOUS_S = 10.0
_ACK = Struct(">BHIHHQ?B")
"""A whole frame: https://www.rabbitmq.com/amqp-0-9-1-reference#basic.ack"""

log = get_logger("rabbitmq")


class DeliveryHandler(Protocol):
    """Where deliveries go. Called in the consuming thread; `generation` names the channel they came on."""

    @property
    def unsettled(self) -> int:
        """How many deliveries of the current channel are not acknowledged."""

    def opened(self, generation: int, waiting: int) -> None: ...

    def arrived(self, generation: int, deliveries: Sequence[Delivery], more: bool) -> None: ...

    def lost(self, generation: int) -> None: ...


@dataclass(slots=True, eq=False)
class Consumer:
    """One partition's queue, as it is consumed."""

    partition: int
    prefetch: int
    sink: DeliveryHandler
    channel: Any = None
    generation: int = 0
    fresh: list[Delivery] = field(default_factory=list)
    more: bool = False
    last_at: float = 0.0
    suspected: bool = False

    @property
    def is_open(self) -> bool:
        return self.channel is not None and bool(self.channel.is_open)


class Consumers(ConnectionThread):
    """The consuming connection."""

    def __init__(self, url: str, heartbeat_s: int, topology: Topology) -> None:
        super().__init__(url, "numbergroup consuming", heartbeat_s)
        self._topology = topology
        self._taps: dict[int, Consumer] = {}
        self._generations = itertools.count(1)

    def open(self, tap: Consumer) -> None:
        """Consume the tap's queue until `close`, again after every loss. Any thread may ask."""

        def job() -> None:
            self._taps[tap.partition] = tap
            if self.connection is not None:
                self._open(tap)

        self.submit(job)

    def close(self, tap: Consumer, closed: Callable[[], None]) -> None:
        """Give what is unsettled back, and consume no more; then call `closed`."""

        def job() -> None:
            if self._taps.get(tap.partition) is tap:
                del self._taps[tap.partition]
            try:
                if tap.is_open:
                    self._give_back(tap)
            except FAILURES as error:
                # It is closed all the same, with its connection.
                log.warning("channel not closed", partition=tap.partition, error=str(error))
                if self.connection is not None:
                    self.connection.collect()
            finally:
                tap.channel = None
                closed()

        self.submit(job)

    def reopen(self, tap: Consumer, generation: int, prefetch: int) -> None:
        """Have everything unsettled delivered again, under another prefetch."""

        def job() -> None:
            if tap.generation == generation and tap.is_open:
                tap.prefetch = prefetch
                self._give_back(tap)
                self._lose(tap)
                self._open(tap)

        self.submit(job)

    def acknowledge(self, tap: Consumer, generation: int, tags: Sequence[tuple[int, bool]]) -> None:
        """Tags of the channel of that generation, each with whether all before it are meant, too."""

        def job() -> None:
            # A tag of an old channel may be another message's on the new one.
            if tap.generation == generation and tap.is_open:
                failpoints.hit("acknowledging")
                channel = tap.channel.channel_id
                # Together: after a stuck message there are thousands.
                self.wire.write(
                    _ACK.pack(1, channel, 13, 60, 80, tag, all_before, 0xCE) for tag, all_before in tags
                )
                failpoints.hit("acknowledged")

        self.submit(job)

    def on_open(self) -> None:
        self._topology.establish(self.connection)
        for tap in self._taps.values():
            self._open(tap)

    def on_drained(self) -> None:
        for tap in self._taps.values():
            if tap.fresh or (tap.more and not self.more):
                fresh, tap.fresh = tap.fresh, []
                tap.more = self.more
                tap.last_at = time.monotonic()
                tap.suspected = False
                tap.sink.arrived(tap.generation, fresh, self.more)

    def on_channel_error(self, error: ChannelError) -> None:
        """One partition's channel: closed after `consumer_timeout`, or because its queue is gone."""
        if not self._reopen_closed(str(error)):
            raise error

    def _reopen_closed(self, error: str) -> bool:
        closed = [tap for tap in self._taps.values() if tap.channel is not None and not tap.is_open]
        for tap in closed:
            log.error("channel lost, opening another", error=error, partition=tap.partition)
            self._lose(tap)
            self._open(tap)
        return bool(closed)

    def on_lost(self) -> None:
        for tap in self._taps.values():
            self._lose(tap)

    def on_beat(self) -> None:
        self._reopen_closed("closed while something else was asked")
        for tap in [*self._taps.values()]:
            idle_s = time.monotonic() - tap.last_at
            if idle_s < _SUSPICIOUS_S or not tap.is_open or tap.sink.unsettled >= tap.prefetch:
                continue
            tap.last_at = time.monotonic()
            waiting = self._waiting(tap)
            if not waiting:
                tap.suspected = False
            elif not tap.suspected:
                tap.suspected = True
            else:
                raise ConnectionError(
                    f"{waiting} messages wait in {self._queue(tap)} and none is delivered: "
                    "does another program consume it?"
                )

    def _queue(self, tap: Consumer) -> str:
        return command_queue(tap.partition, self._topology.partitions)

    def _waiting(self, tap: Consumer) -> int:
        return int(tap.channel.queue_declare(self._queue(tap), passive=True).message_count)

    def _open(self, tap: Consumer) -> None:
        tap.generation = next(self._generations)
        tap.fresh = []
        tap.suspected = False
        tap.last_at = time.monotonic()
        tap.channel = self.connection.channel()
        tap.channel.basic_qos(0, tap.prefetch, False)
        tap.sink.opened(tap.generation, self._waiting(tap))
        self._consume(tap, self._queue(tap))
        if tap.partition == 0:
            self._consume(tap, DEAD)
            for queue in strays(self.connection, self._topology.partitions):
                self._consume(tap, queue, stray=True)
        self.on_drained()

    def _give_back(self, tap: Consumer) -> None:
        """Close the channel, and with it lose no acknowledgement.

        RabbitMQ's channel sets those aside that a quorum queue is not ready for, and forgets them when it
        is closed. A second subscription, which waits in line behind the first, is answered when the queue
        has taken what was sent before; then what was set aside is sent, before the next question.
        """
        tap.channel.basic_consume(self._queue(tap), callback=_ignore)
        for _ in range(2):
            self._waiting(tap)
        tap.channel.close()

    def _consume(self, tap: Consumer, queue: str, *, stray: bool = False) -> None:
        taking = partial(self._take, tap, tap.generation, queue, stray)
        # Whoever deletes a queue that is no longer used disturbs nothing.
        tap.channel.basic_consume(queue, callback=taking, on_cancel=_ignore if stray else None)

    def _take(
        self,
        tap: Consumer,
        generation: int,
        queue: str,
        stray: bool,
        tag: int,
        redelivered: bool,
        said: Properties,
        body: bytes,
    ) -> None:
        if tap.generation == generation:
            tap.fresh.append(Delivery(tag, queue, body, said, redelivered, stray))

    def _lose(self, tap: Consumer) -> None:
        if tap.channel is not None:
            tap.channel = None
            tap.sink.lost(tap.generation)


def _ignore(*_: Any) -> None:
    """It comes again, or is gone for good."""
