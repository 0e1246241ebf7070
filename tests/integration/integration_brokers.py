"""The same view of every broker: as a producer, as a consumer of results, and as a worker."""

from collections.abc import Sequence
from typing import Any, Protocol, Self

from amqp.exceptions import NotFound
from deadlines import deadline
from integration_rig import DEDUP_MS, LEASE, TTL_S
from integration_servers import eventually
from kombu import Connection, Producer
from redis.asyncio import Redis

from numbergroup.brokers.amqp.broker import AmqpBroker
from numbergroup.brokers.amqp.topology import DEAD_LETTER_QUEUE, Topology
from numbergroup.brokers.port import Broker, Log
from numbergroup.brokers.redis.broker import RedisBroker
from numbergroup.brokers.redis.connect import connect
from numbergroup.engine.commands import Entry
from numbergroup.ledger.redis import RedisLedger
from numbergroup_contracts.names import COMMANDS, REPLIES, REPLY_STREAM, command_stream

NAMED = "numbergroup.replies.crm"
PREFETCH = 1_000


class Place(Protocol):
    """One broker with its ledger, empty at first."""

    client: Redis
    ledger: RedisLedger

    async def publish(self, *bodies: bytes) -> None: ...

    async def replies(self, queue: str | None = None) -> list[bytes]:
        """Return the bodies in the reply queue; `None` is the default one."""

    async def left(self) -> int:
        """Return how many messages are unsettled, when no log is open."""

    async def own(self, owner: str = "me") -> Log:
        """Become the owner of partition 0, and open its log."""


class _Ledgered:
    def __init__(self, ledger_url: str) -> None:
        self.ledger_url = ledger_url

    async def __aenter__(self) -> Self:
        self.client = connect(self.ledger_url)
        await self.client.flushall()
        self.ledger = RedisLedger(self.client)
        self.broker = await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.client.aclose()

    async def own(self, owner: str = "me") -> Log:
        await self.client.delete(LEASE)
        epoch = await self.ledger.acquire_lease(0, owner, TTL_S)
        assert epoch is not None
        return self.broker.open_log(0, epoch)

    async def start(self) -> Broker:
        raise NotImplementedError

    async def stop(self) -> None:
        """Nothing to stop."""


class OnRedis(_Ledgered):
    async def start(self) -> Broker:
        return RedisBroker(self.client, DEDUP_MS)

    async def publish(self, *bodies: bytes) -> None:
        pipe = self.client.pipeline(transaction=False)
        for body in bodies:
            pipe.xadd(command_stream(0), {"event": body})
        await pipe.execute()

    async def replies(self, queue: str | None = None) -> list[bytes]:
        return [fields[b"event"] for _, fields in await self.client.xrange(queue or REPLY_STREAM)]

    async def left(self) -> int:
        return int(await self.client.xlen(command_stream(0)))


class OnRabbit(_Ledgered):
    def __init__(self, ledger_url: str, url: str) -> None:
        super().__init__(ledger_url)
        self.url = url
        self.connection: Any = None

    async def start(self) -> Broker:
        self.reconnect()
        channel = self.connection.channel()
        for queue in (COMMANDS, REPLIES, DEAD_LETTER_QUEUE, NAMED):
            channel.queue_delete(queue)
        channel.exchange_delete("numbergroup")
        channel.queue_declare(NAMED, durable=True, auto_delete=False)
        # Published into an existing queue, as producers do.
        Topology().declare_all(self.connection.connection)
        broker = AmqpBroker(
            self.url,
            self.client,
            record_ms=DEDUP_MS,
            max_in_work=PREFETCH,
            heartbeat_s=4,
            topology=Topology(),
        )
        await broker.open()
        self.amqp = broker
        return broker

    async def stop(self) -> None:
        await self.amqp.close()
        self.connection.release()

    def reconnect(self) -> None:
        """Connect the test itself: at first, and after all connections were closed."""
        if self.connection is not None:
            self.connection.release()
        # Without confirms, a message to a queue that was just declared may be lost.
        self.connection = Connection(self.url, transport_options={"confirm_publish": True})
        self.connection.connect()

    async def publish(self, *bodies: bytes) -> None:
        producer = Producer(self.connection.channel())
        for body in bodies:
            producer.publish(
                body, routing_key=COMMANDS, content_type="application/json", content_encoding="utf-8"
            )
        producer.channel.close()

    async def replies(self, queue: str | None = None) -> list[bytes]:
        found, channel = [], self.connection.channel()
        channel.auto_decode = False
        while (message := channel.basic_get(queue or REPLIES)) is not None:
            found.append(message.body)
        # Nothing was acknowledged: the messages are requeued in order.
        channel.close()
        return found

    async def left(self) -> int:
        channel = self.connection.channel()
        try:
            return int(channel.queue_declare(COMMANDS, passive=True).message_count)
        except NotFound:
            return 0


async def read(log: Log, count: int, credit: int = PREFETCH) -> list[Entry]:
    """Return the next `count` messages, in as many reads as that takes."""
    entries: list[Entry] = []
    async with deadline(20):
        while len(entries) < count:
            part = await log.read(min(credit, count - len(entries)))
            assert len(part) <= credit
            entries += part
    assert len(entries) == count
    return entries


async def nothing_more(log: Log) -> None:
    """Check that the log was read to its end."""
    assert list(await log.read(PREFETCH)) == []


async def left(place: Place, count: int) -> None:
    """Return when this number of messages is unsettled: the broker knows it a moment later."""

    async def are_left() -> bool:
        return await place.left() == count

    await eventually(are_left, f"{count} messages left")


def bodies(entries: Sequence[Entry]) -> list[bytes]:
    return [entry.body for entry in entries]
