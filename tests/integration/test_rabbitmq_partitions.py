"""Several partitions on RabbitMQ: routing, and the queues of another number of partitions."""

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


def delete_queues(server: RabbitServer) -> RabbitServer:
    with Connection(server.url) as connection:
        for number in range(8):
            connection.channel().queue_delete(command_queue(number, 2))
        connection.channel().queue_delete(command_queue(0, 1))
        connection.channel().exchange_delete(EXCHANGE)
    return server


@pytest.fixture(params=["rabbit", "hashing"])
def server(request: Any) -> RabbitServer:
    """Without the plugin, and with it."""
    return delete_queues(request.getfixturevalue(request.param))


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


async def read_names(broker: AmqpBroker, partitions: int, count: int) -> list[list[str]]:
    """Return the names of the commands in each partition, in order, when `count` were read in all."""
    logs = [broker.open_log(number, 1) for number in range(partitions)]
    names: list[list[str]] = [[] for _ in logs]
    while sum(map(len, names)) < count:
        for log, of_partition in zip(logs, names, strict=True):
            of_partition += [orjson.loads(entry.body)["id"] for entry in await log.read(1_000)]
    for log in logs:
        await log.close()
    return names


async def test_routing(server: RabbitServer, ledger: Redis) -> None:
    """The publisher routes by the documented formula, even if RabbitMQ has the plugin for hashing. A group's
    commands are in one partition, in order."""
    async with worker(server, ledger, 4) as broker:
        assert broker.is_partitioned_by_handle
        assert publish(commands(5), server.url, partitions=4) == 200
        names = await read_names(broker, 4, 200)
    homes = {name.split("/")[0]: number for number, part in enumerate(names) for name in part}
    assert homes == {group: partition_of(group, 4) for group in GROUPS}
    for group in GROUPS:
        in_order = [f"{group}/{n}" for n in range(5)]
        assert [name for name in names[homes[group]] if name.startswith(f"{group}/")] == in_order


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_consistent_hash_exchange(hashing: RabbitServer, ledger: Redis, partitions: int) -> None:
    """It is used as it is, with an error in the log. No message is lost; commands may be in any partition."""
    delete_queues(hashing)
    with Connection(hashing.url) as connection, capture_logs() as logs:
        connection.channel().exchange_declare(EXCHANGE, "x-consistent-hash", durable=True, auto_delete=False)
        async with worker(hashing, ledger, partitions) as broker:
            assert not broker.is_partitioned_by_handle
            producer = Producer(connection.channel())
            for name in GROUPS:
                producer.publish({"id": name}, exchange=EXCHANGE, routing_key=name, declare=[])
            names = await read_names(broker, partitions, len(GROUPS))
    assert sorted(name for part in names for name in part) == sorted(GROUPS)
    assert any("may lose their order" in line["event"] for line in logs if line["log_level"] == "error")


async def test_fewer_partitions(server: RabbitServer, ledger: Redis) -> None:
    """The exchange routes nothing to queues of more partitions. Their messages are logged and read as strays.
    Deleting such a queue does not disturb the worker."""
    async with worker(server, ledger, 4) as broker:
        assert dict(await broker.count_waiting(4)) == {0: 0, 1: 0, 2: 0, 3: 0}
    stray = command_queue(3, 4)
    with Connection(server.url, transport_options={"confirm_publish": True}) as connection:
        producer = Producer(connection.channel())
        producer.publish({"id": "left"}, routing_key=stray)
        with capture_logs() as logs:
            async with worker(server, ledger, 2) as broker:
                assert count_strays(server.url, 2) == {command_queue(2, 4): 0, stray: 1}
                epoch = await RedisLedger(ledger).acquire_lease(0, "me", 10)
                assert epoch is not None
                log = broker.open_log(0, epoch)
                (entry,) = await read(log, 1)
                assert (entry.stray_queue, orjson.loads(entry.body)) == (stray, {"id": "left"})
                await log.settle(Settlement(0, done=[entry.tag]), 1)
                connection.channel().queue_delete(stray)
                producer.publish({"id": "2"}, routing_key=command_queue(2, 4))
                (entry,) = await read(log, 1)
                assert entry.stray_queue == command_queue(2, 4)
                await log.settle(Settlement(0, done=[entry.tag]), 2)
                await log.close()
                assert publish(commands(2), server.url, partitions=2) == 80
                assert sum(map(len, await read_names(broker, 2, 80))) == 80
    assert {line["queue"] for line in logs if line["log_level"] == "error"} == {stray}


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
async def test_one_partition_or_several(rabbit: RabbitServer, ledger: Redis, before: int, after: int) -> None:
    """Messages for the other number of partitions, published before or after the change, are read in order as
    strays. If they are not settled, the next owner reads them."""
    delete_queues(rabbit)
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


async def test_a_consumer_counts_as_backlog(rabbit: RabbitServer, ledger: Redis) -> None:
    """RabbitMQ does not tell how many messages a consumer holds: it may hold some."""
    delete_queues(rabbit)
    async with worker(rabbit, ledger, 1) as broker:
        publish(commands(1)[:1], rabbit.url)
        log = broker.open_log(0, 1)
        assert len(await log.read(10)) == 1
        assert dict(await broker.count_waiting(1)) == {0: 1}
        await log.close()
