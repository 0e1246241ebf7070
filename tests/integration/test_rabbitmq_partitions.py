"""Several partitions on RabbitMQ: who routes, and what becomes of the queues when their number changes."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from integration_brokers import read
from integration_rig import DEDUP_MS, event
from kombu import Connection, Producer
from rabbit_server import RabbitServer
from redis.asyncio import Redis
from structlog.testing import capture_logs

from numbergroup.brokers.amqp.broker import AmqpBroker
from numbergroup.brokers.amqp.queue_depth import count_strays
from numbergroup.brokers.amqp.topology import Topology
from numbergroup.brokers.redis.connect import connect
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger.redis import RedisLedger
from numbergroup_contracts import publish
from numbergroup_contracts.names import EXCHANGE, command_queue, partition_of

pytestmark = pytest.mark.rabbitmq_server

GROUPS = [f"group-{number}" for number in range(40)]


@pytest.fixture(scope="module")
def hashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """A server with the plugin for consistent-hash exchanges."""
    server = RabbitServer(tmp_path_factory.mktemp("hashing"), hashing=True)
    try:
        yield server
    finally:
        server.kill()


def emptied(server: RabbitServer) -> RabbitServer:
    with Connection(server.url) as connection:
        for number in range(8):
            connection.channel().queue_delete(command_queue(number, 2))
        connection.channel().queue_delete(command_queue(0, 1))
        connection.channel().exchange_delete(EXCHANGE)
    return server


@pytest.fixture(params=["rabbit", "hashing"])
def server(request: Any) -> RabbitServer:
    """Without the plugin, and with it."""
    return emptied(request.getfixturevalue(request.param))


@asynccontextmanager
async def worker(server: RabbitServer, ledger: Redis, partitions: int) -> AsyncIterator[AmqpBroker]:
    """What a worker opens; it owns every partition."""
    broker = AmqpBroker(
        server.url,
        ledger,
        record_ms=DEDUP_MS,
        max_in_work=1_000,
        heartbeat_s=4,
        topology=Topology(partitions),
    )
    await broker.open()
    try:
        yield broker
    finally:
        await broker.close()


@pytest.fixture
async def ledger(embedded_url: str) -> AsyncIterator[Redis]:
    client = connect(embedded_url)
    await client.flushall()
    yield client
    await client.aclose()


def commands(rounds: int) -> list[bytes]:
    return [event(f"{group}/{n}", group) for n in range(rounds) for group in GROUPS]


async def found(broker: AmqpBroker, partitions: int, count: int) -> list[list[str]]:
    """The names of the commands in each partition, in order, when there are `count` in all."""
    logs = [broker.open_log(number, 1) for number in range(partitions)]
    names: list[list[str]] = [[] for _ in logs]
    while sum(map(len, names)) < count:
        for log, there in zip(logs, names, strict=True):
            there += [orjson.loads(entry.body)["id"] for entry in await log.read(1_000)]
    for log in logs:
        await log.close()
    return names


async def test_who_routes(server: RabbitServer, ledger: Redis) -> None:
    """Whoever publishes, by the wire's formula, whether or not the broker could: a group's commands are in
    one partition, in order."""
    async with worker(server, ledger, 4) as broker:
        assert broker.is_partitioned_by_handle
        assert publish(commands(5), server.url, partitions=4) == 200
        names = await found(broker, 4, 200)
    homes = {name.split("/")[0]: number for number, there in enumerate(names) for name in there}
    assert homes == {group: partition_of(group, 4) for group in GROUPS}
    for group in GROUPS:
        in_order = [f"{group}/{n}" for n in range(5)]
        assert [name for name in names[homes[group]] if name.startswith(f"{group}/")] == in_order


@pytest.mark.parametrize("partitions", [1, 4])
async def test_an_exchange_by_hash(hashing: RabbitServer, ledger: Redis, partitions: int) -> None:
    """Declared by somebody else it is used as it is, with a warning: no message is lost in it, and where
    commands belong is its business."""
    emptied(hashing)
    with Connection(hashing.url) as connection, capture_logs() as logs:
        connection.channel().exchange_declare(EXCHANGE, "x-consistent-hash", durable=True, auto_delete=False)
        async with worker(hashing, ledger, partitions) as broker:
            assert not broker.is_partitioned_by_handle
            producer = Producer(connection.channel())
            for name in GROUPS:
                producer.publish({"id": name}, exchange=EXCHANGE, routing_key=name, declare=[])
            names = await found(broker, partitions, len(GROUPS))
    assert sorted(name for there in names for name in there) == sorted(GROUPS)
    assert any("may lose their order" in line["event"] for line in logs if line["log_level"] == "error")


async def test_fewer_partitions(server: RabbitServer, ledger: Redis) -> None:
    """The queues of more partitions get nothing more from the exchange; what is in them is complained about,
    and read as what was published to no partition, until a queue is deleted, which disturbs nobody."""
    async with worker(server, ledger, 4) as broker:
        assert dict(await broker.count_waiting(4)) == {0: 0, 1: 0, 2: 0, 3: 0}
    left = command_queue(3, 4)
    with Connection(server.url, transport_options={"confirm_publish": True}) as connection:
        producer = Producer(connection.channel())
        producer.publish({"id": "left"}, routing_key=left)
        with capture_logs() as logs:
            async with worker(server, ledger, 2) as broker:
                assert count_strays(server.url, 2) == {command_queue(2, 4): 0, left: 1}
                epoch = await RedisLedger(ledger).acquire_lease(0, "me", 10)
                assert epoch is not None
                log = broker.open_log(0, epoch)
                (entry,) = await read(log, 1)
                assert (entry.stray_queue, orjson.loads(entry.body)) == (left, {"id": "left"})
                await log.settle(Settlement(0, done=[entry.tag]), 1)
                connection.channel().queue_delete(left)
                producer.publish({"id": "2"}, routing_key=command_queue(2, 4))
                (entry,) = await read(log, 1)
                assert entry.stray_queue == command_queue(2, 4)
                await log.settle(Settlement(0, done=[entry.tag]), 2)
                await log.close()
                assert publish(commands(2), server.url, partitions=2) == 80
                assert sum(map(len, await found(broker, 2, 80))) == 80
    assert {line["queue"] for line in logs if line["log_level"] == "error"} == {left}


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
async def test_one_partition_or_several(rabbit: RabbitServer, ledger: Redis, before: int, after: int) -> None:
    """What is published for the other number, before the change or after it, is read in order, and known for
    what it is; an owner who dies leaves it to the next one."""
    emptied(rabbit)
    async with worker(rabbit, ledger, before) as broker:
        assert sum((await broker.count_waiting(before)).values()) == 0
    publish([event(f"c-{n}", "group-1") for n in range(3)], rabbit.url, partitions=before)
    queue = command_queue(partition_of("group-1", before), before)
    for count in (5, 7):
        async with worker(rabbit, ledger, after) as broker:
            first = 3 if count == 5 else 5
            names = [f"c-{n}" for n in range(first, count)]
            with Connection(rabbit.url, transport_options={"confirm_publish": True}) as connection:
                for name in names:
                    Producer(connection.channel()).publish(
                        event(name, "group-1"), routing_key=queue, content_type="application/json"
                    )
            log = broker.open_log(0, 1)
            entries = await read(log, count)
            assert {entry.stray_queue for entry in entries} == {queue}
            assert [orjson.loads(entry.body)["id"] for entry in entries] == [f"c-{n}" for n in range(count)]
            await log.close()


async def test_what_a_consumer_has_in_hand_is_a_backlog(rabbit: RabbitServer, ledger: Redis) -> None:
    """The broker does not tell how many those are: there may be some for as long as it is there."""
    emptied(rabbit)
    async with worker(rabbit, ledger, 1) as broker:
        publish(commands(1)[:1], rabbit.url)
        log = broker.open_log(0, 1)
        assert len(await log.read(10)) == 1
        assert dict(await broker.count_waiting(1)) == {0: 1}
        await log.close()
