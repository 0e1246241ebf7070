"""Consumes the queues of the owned partitions: one channel for each, all on one connection."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Protocol

from amqp.exceptions import ChannelError

from numbergroup.brokers.amqp.connection_thread import CONNECTION_ERRORS, ConnectionThread
from numbergroup.brokers.amqp.delivery import Delivery, Properties
from numbergroup.brokers.amqp.topology import DEAD_LETTER_QUEUE, Topology, count_strays
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import command_queue

_IDLE_CHECK_S = 10.0
_ACK = Struct(">BHIHHQ?B")
"""A whole frame: https://www.rabbitmq.com/amqp-0-9-1-reference#basic.ack"""

log = get_logger("rabbitmq")


class DeliveryHandler(Protocol):
    """Receives deliveries. Called in the consuming thread; `generation` identifies the channel."""

    @property
    def unacknowledged(self) -> int:
        """How many deliveries of the current channel are not acknowledged."""

    def on_opened(self, generation: int, waiting: int) -> None:
        """A channel was opened; `waiting` messages are in the queue."""

    def on_deliveries(self, generation: int, deliveries: Sequence[Delivery], has_more: bool) -> None:
        """Messages were delivered. `has_more`: further input has arrived already."""

    def on_lost(self, generation: int) -> None:
        """The channel was closed; what is not acknowledged will be delivered again."""


@dataclass(slots=True, eq=False)
class Consumer:
    """Consumes one partition's queue.

    - `channel`: py-amqp's channel; `None` while there is none.
    - `generation`: identifies the channel; a new channel has a higher one.
    - `deliveries`: those that were not passed to the handler yet.
    - `has_more`: the last value that the handler received.
    - `last_delivery_at`: monotonic time of the last delivery, or of the last check of an idle queue.
    - `is_suspect`: the last check found waiting messages that are not delivered.
    """

    partition: int
    prefetch: int
    handler: DeliveryHandler
    channel: Any = None
    generation: int = 0
    deliveries: list[Delivery] = field(default_factory=list)
    has_more: bool = False
    last_delivery_at: float = 0.0
    is_suspect: bool = False

    @property
    def is_open(self) -> bool:
        return self.channel is not None and bool(self.channel.is_open)


class ConsumerThread(ConnectionThread):
    """The consuming connection. `add`, `remove`, `reopen` and `acknowledge` are thread-safe."""

    def __init__(self, url: str, heartbeat_s: int, topology: Topology) -> None:
        super().__init__(url, "numbergroup consuming", heartbeat_s)
        self._topology = topology
        self._consumers: dict[int, Consumer] = {}
        self._generations = itertools.count(1)

    def add(self, consumer: Consumer) -> None:
        """Consume the queue until `remove`, and again after every lost channel."""

        def job() -> None:
            self._consumers[consumer.partition] = consumer
            if self.connection is not None:
                self._open(consumer)

        self.submit(job)

    def remove(self, consumer: Consumer, on_removed: Callable[[], None]) -> None:
        """Stop consuming, and requeue what is not acknowledged; then call `on_removed`."""

        def job() -> None:
            if self._consumers.get(consumer.partition) is consumer:
                del self._consumers[consumer.partition]
            try:
                if consumer.is_open:
                    self._close_channel(consumer)
            except CONNECTION_ERRORS as error:
                # The channel is closed with its connection.
                log.warning("channel not closed", partition=consumer.partition, error=str(error))
                if self.connection is not None:
                    self.connection.collect()
            finally:
                consumer.channel = None
                on_removed()

        self.submit(job)

    def reopen(self, consumer: Consumer, generation: int, prefetch: int) -> None:
        """Have all unacknowledged messages delivered again, with another prefetch.

        Does nothing if the channel of this generation is gone.
        """

        def job() -> None:
            if consumer.generation == generation and consumer.is_open:
                consumer.prefetch = prefetch
                self._close_channel(consumer)
                self._lose(consumer)
                self._open(consumer)

        self.submit(job)

    def acknowledge(self, consumer: Consumer, generation: int, tags: Sequence[tuple[int, bool]]) -> None:
        """Acknowledge delivery tags of the channel of this generation, each with AMQP's `multiple` flag.

        Does nothing if that channel is gone: its tags may belong to other messages on the new one.
        """

        def job() -> None:
            if consumer.generation == generation and consumer.is_open:
                failpoints.hit("acknowledging")
                channel_id = consumer.channel.channel_id
                # In one write: behind a stuck message there are thousands.
                self.frames.write(
                    _ACK.pack(1, channel_id, 13, 60, 80, tag, multiple, 0xCE) for tag, multiple in tags
                )
                failpoints.hit("acknowledged")

        self.submit(job)

    def on_connected(self) -> None:
        self._topology.declare_all(self.connection)
        for consumer in self._consumers.values():
            self._open(consumer)

    def on_frames_handled(self) -> None:
        for consumer in self._consumers.values():
            if consumer.deliveries or (consumer.has_more and not self.has_more):
                deliveries, consumer.deliveries = consumer.deliveries, []
                consumer.has_more = self.has_more
                consumer.last_delivery_at = time.monotonic()
                consumer.is_suspect = False
                consumer.handler.on_deliveries(consumer.generation, deliveries, self.has_more)

    def on_channel_error(self, error: ChannelError) -> None:
        """Reopen the channel: `consumer_timeout` has closed it, or its queue was deleted."""
        if not self._reopen_closed(str(error)):
            raise error

    def _reopen_closed(self, error: str) -> bool:
        """Reopen closed channels; return whether there were any."""
        closed = [
            consumer
            for consumer in self._consumers.values()
            if consumer.channel is not None and not consumer.is_open
        ]
        for consumer in closed:
            log.error("channel lost, opening another", error=error, partition=consumer.partition)
            self._lose(consumer)
            self._open(consumer)
        return bool(closed)

    def on_lost(self) -> None:
        for consumer in self._consumers.values():
            self._lose(consumer)

    def on_tick(self) -> None:
        self._reopen_closed("closed while the worker waited for another answer")
        for consumer in [*self._consumers.values()]:
            self._check_idle(consumer)

    def _check_idle(self, consumer: Consumer) -> None:
        """Raise `ConnectionError` if two checks in a row find messages that are not delivered."""
        idle_s = time.monotonic() - consumer.last_delivery_at
        is_full = consumer.handler.unacknowledged >= consumer.prefetch
        if idle_s < _IDLE_CHECK_S or not consumer.is_open or is_full:
            return
        consumer.last_delivery_at = time.monotonic()
        waiting = self._count_waiting(consumer)
        if waiting and consumer.is_suspect:
            raise ConnectionError(
                f"{waiting} messages wait in {self._queue_of(consumer)} and none is delivered: "
                "does another program consume it?"
            )
        consumer.is_suspect = bool(waiting)

    def _queue_of(self, consumer: Consumer) -> str:
        return command_queue(consumer.partition, self._topology.partitions)

    def _count_waiting(self, consumer: Consumer) -> int:
        return int(consumer.channel.queue_declare(self._queue_of(consumer), passive=True).message_count)

    def _open(self, consumer: Consumer) -> None:
        consumer.generation = next(self._generations)
        consumer.deliveries = []
        consumer.is_suspect = False
        consumer.last_delivery_at = time.monotonic()
        consumer.channel = self.connection.channel()
        consumer.channel.basic_qos(0, consumer.prefetch, False)
        consumer.handler.on_opened(consumer.generation, self._count_waiting(consumer))
        self._consume(consumer, self._queue_of(consumer))
        if consumer.partition == 0:
            self._consume(consumer, DEAD_LETTER_QUEUE)
            for queue in count_strays(self.connection, self._topology.partitions):
                self._consume(consumer, queue, is_stray=True)
        self.on_frames_handled()

    def _close_channel(self, consumer: Consumer) -> None:
        """Close the channel without losing an acknowledgement.

        RabbitMQ's channel buffers acknowledgements that a quorum queue cannot process yet, and drops them
        when it is closed. A second subscription, which becomes a waiting consumer behind the first, is
        answered when the queue has processed what was sent before. Then the channel sends what it buffered,
        before the next request.
        """
        consumer.channel.basic_consume(self._queue_of(consumer), callback=_ignore)
        for _ in range(2):
            self._count_waiting(consumer)
        consumer.channel.close()

    def _consume(self, consumer: Consumer, queue: str, *, is_stray: bool = False) -> None:
        generation = consumer.generation

        def on_delivery(tag: int, redelivered: bool, properties: Properties, body: bytes) -> None:
            if consumer.generation == generation:
                consumer.deliveries.append(
                    Delivery(
                        tag,
                        queue,
                        body,
                        properties=properties,
                        redelivered=redelivered,
                        is_stray=is_stray,
                    )
                )

        # An operator may delete a stray queue: that must not disturb the channel.
        consumer.channel.basic_consume(queue, callback=on_delivery, on_cancel=_ignore if is_stray else None)

    def _lose(self, consumer: Consumer) -> None:
        if consumer.channel is not None:
            consumer.channel = None
            consumer.handler.on_lost(consumer.generation)


def _ignore(*_: Any) -> None:
    """Do nothing: the message is delivered again, or is gone for good."""
