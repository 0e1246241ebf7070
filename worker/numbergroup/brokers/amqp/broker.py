"""Implements the broker on RabbitMQ: a queue for each partition, consumed by the partition's owner."""

import asyncio
from collections.abc import Mapping

from redis.asyncio import Redis

from numbergroup.brokers import replay_stream
from numbergroup.brokers.amqp.connection_thread import temporary_connection
from numbergroup.brokers.amqp.consuming import ConsumerThread
from numbergroup.brokers.amqp.publishing import Publisher
from numbergroup.brokers.amqp.queue_log import MAX_PREFETCH, QueueLog
from numbergroup.brokers.amqp.topology import Topology, count_waiting
from numbergroup.brokers.redis.broker import RedisBroker


class AmqpBroker:
    """Implements `numbergroup.brokers.port.Broker` on RabbitMQ, with the ledger on Redis.

    - `ledger`: a Redis client of the ledger.
    - `record_ms`: how long the ledger keeps the records of settled commands, in milliseconds.
    - `max_in_work`: how many messages of a partition may be in work at once.
    - `heartbeat_s`: of both connections, in seconds.
    """

    def __init__(
        self,
        url: str,
        ledger: Redis,
        *,
        record_ms: int,
        max_in_work: int,
        heartbeat_s: int,
        topology: Topology,
    ) -> None:
        self._url = url
        self._topology = topology
        self._consumers = ConsumerThread(url, heartbeat_s, topology)
        self._publisher = Publisher(url, heartbeat_s, topology)
        self._ledger = ledger
        # Writes everything except results; those go to RabbitMQ.
        self._ledger_broker = RedisBroker(ledger, record_ms)
        self._max_in_work = min(max_in_work, MAX_PREFETCH)

    @property
    def is_partitioned_by_handle(self) -> bool:
        return self._topology.by_handle

    async def open(self) -> None:
        def declare_all() -> None:
            with temporary_connection(self._url) as connection:
                self._topology.declare_all(connection)

        await asyncio.to_thread(declare_all)
        self._consumers.start()
        self._publisher.start()

    async def close(self) -> None:
        await asyncio.gather(asyncio.to_thread(self._consumers.stop), asyncio.to_thread(self._publisher.stop))

    def open_log(self, partition: int, epoch: int) -> QueueLog:
        return QueueLog(
            partition,
            self._ledger,
            ledger_log=self._ledger_broker.open_log(partition, epoch),
            consumers=self._consumers,
            publisher=self._publisher,
            max_in_work=self._max_in_work,
        )

    async def count_waiting(self, partitions: int) -> Mapping[int, int]:
        def count_commands() -> dict[int, int]:
            with temporary_connection(self._url) as connection:
                return count_waiting(connection, partitions)

        replays = await replay_stream.count_waiting_replays(self._ledger, partitions)
        commands = await asyncio.to_thread(count_commands)
        return {partition: count + replays[partition] for partition, count in commands.items()}
