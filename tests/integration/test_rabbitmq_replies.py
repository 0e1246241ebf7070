"""Results on RabbitMQ whose queue is missing, refuses or belongs to a client, or that are too large."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest
from amqp import Connection, Message
from amqp.exceptions import MessageNacked, NotFound, PreconditionFailed
from integration_brokers import NAMED, PREFETCH, OnRabbit, left, read
from integration_rig import DEDUP_MS, event
from integration_servers import eventually
from rabbit_server import RabbitServer
from structlog.testing import capture_logs

from numbergroup.brokers.amqp.broker import AmqpBroker
from numbergroup.brokers.amqp.outgoing import Outgoing
from numbergroup.brokers.amqp.publish_batch import FailureCause, PublishFailure
from numbergroup.brokers.amqp.publishing import Publisher
from numbergroup.brokers.amqp.topology import Topology
from numbergroup.brokers.port import BrokerUnavailable, Log
from numbergroup.engine.commands import Entry
from numbergroup.engine.settling.fitting import REPLY_QUEUE
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.ledger import keys
from numbergroup_contracts.names import COMMANDS, REPLIES
from numbergroup_contracts.results import RESULT_ADAPTER

pytestmark = pytest.mark.rabbitmq_server


def result(name: str = "c-1", **data: Any) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"result-{name}",
            "source": "numbergroup",
            "type": "numbergroup.result.v1",
            "time": "2026-11-21T03:04:05.678Z",
            "data": {"command": {"id": name, "source": "test"}, "status": "applied", **data},
        }
    )


def error_kind_of(body: bytes) -> str | None:
    """Return the kind of the error of an `applied` result, if it has one."""
    parsed = RESULT_ADAPTER.validate_json(body)
    assert not isinstance(parsed, list)
    assert parsed.data.status == "applied"
    return None if parsed.data.error is None else parsed.data.error.kind


async def settle(log: Log, unit: Settlement) -> int:
    """Settle the unit; return the number of attempts."""
    attempts = 0

    async def try_once() -> bool:
        nonlocal attempts
        attempts += 1
        try:
            await log.settle(unit, 1)
        except BrokerUnavailable:
            return False
        return True

    await eventually(try_once, "the unit is settled")
    return attempts


async def answer_command(on_rabbit: OnRabbit, *replies: Reply) -> int:
    """Publish a command and settle it with these replies; return the number of attempts."""
    await on_rabbit.publish(event("c-1"))
    log = await on_rabbit.own()
    (entry,) = await read(log, 1)
    attempts = await settle(log, Settlement(0, replies=list(replies), done=[entry.tag]))
    await log.close()
    await left(on_rabbit, 0)
    return attempts


def reply_to_client(queue: str, body: bytes) -> Reply:
    """Return the reply to a message whose `reply_to` property names the queue."""
    return Reply(queue, body, entry=Entry(0, "tag", event("c-1"), reply_to=queue))


def queue_exists(on_rabbit: OnRabbit, queue: str) -> bool:
    try:
        on_rabbit.connection.channel().queue_declare(queue, passive=True)
    except NotFound:
        return False
    return True


@asynccontextmanager
async def direct_client(server: RabbitServer) -> AsyncIterator[tuple[str, list[bytes], Any]]:
    """Yield a direct reply-to client: its address, the bodies that it has received, and its connection."""
    with Connection(f"127.0.0.1:{server.port}") as connection:
        received: list[bytes] = []
        channel = connection.channel()
        channel.basic_consume(
            "amq.rabbitmq.reply-to",
            no_ack=True,
            callback=lambda message: received.append(message.body.encode()),
        )
        queue = channel.queue_declare("asking", exclusive=True).queue
        channel.basic_publish(Message(b"", reply_to="amq.rabbitmq.reply-to"), "", queue)
        addresses: list[str] = []

        async def has_address() -> bool:
            message = channel.basic_get(queue, no_ack=True)
            addresses.extend([] if message is None else [message.properties["reply_to"]])
            return bool(addresses)

        await eventually(has_address, "the client's address")
        yield addresses[0], received, connection


async def test_direct_reply_to(on_rabbit: OnRabbit, rabbit: RabbitServer) -> None:
    """The client gets its results once, although its address is no queue. When it is gone, they go to the
    default queue at once, with an error."""
    async with direct_client(rabbit) as (address, received, connection):
        assert await answer_command(on_rabbit, reply_to_client(address, result())) == 1

        async def has_received() -> bool:
            await asyncio.to_thread(connection.heartbeat_tick)
            connection.channel().queue_declare(REPLIES, passive=True)
            return bool(received)

        await eventually(has_received, "its result")
        assert received == [result()]
    assert await on_rabbit.replies() == []
    assert (
        await answer_command(
            on_rabbit, Reply(None, b"1"), reply_to_client(address, result()), Reply(None, b"2")
        )
        == 1
    )
    first, late, last = await on_rabbit.replies()
    assert (first, error_kind_of(late), last) == (b"1", REPLY_QUEUE, b"2")


@pytest.mark.parametrize(
    "queue", ["numbergroup.replies.of-a-client", "amq.gen-bSPYLb8HNBKnRVAW", "amq.rabbitmq.reply-to.nobody"]
)
async def test_the_queue_of_a_client_that_is_gone(on_rabbit: OnRabbit, queue: str) -> None:
    """It is not declared: the client could no longer declare it as its own. The result goes to the default
    queue with an error, at the second attempt at the latest."""
    with Connection(f"127.0.0.1:{on_rabbit.url.rpartition(':')[2].rstrip('/')}") as client:
        if not queue.startswith("amq."):
            client.channel().queue_declare(queue, exclusive=True)
    assert await answer_command(on_rabbit, reply_to_client(queue, result())) <= 2
    assert [error_kind_of(body) for body in await on_rabbit.replies()] == [REPLY_QUEUE]
    assert not queue_exists(on_rabbit, queue)


async def test_a_clients_exclusive_queue(on_rabbit: OnRabbit) -> None:
    """It gets the results as long as its client is connected; later ones go to the default queue."""
    queue = "numbergroup.replies.exclusive"
    with Connection(f"127.0.0.1:{on_rabbit.url.rpartition(':')[2].rstrip('/')}") as client:
        channel = client.channel()
        channel.queue_declare(queue, exclusive=True)
        assert await answer_command(on_rabbit, reply_to_client(queue, result())) == 1
        assert channel.basic_get(queue, no_ack=True).body.encode() == result()
    assert await answer_command(on_rabbit, reply_to_client(queue, b"[%b]" % result())) <= 2
    ((body),) = await on_rabbit.replies()
    assert error_kind_of(body[1:-1]) == REPLY_QUEUE


async def test_a_queue_that_refuses_blocks_nothing(on_rabbit: OnRabbit) -> None:
    """After some attempts its results go to the default queue, and later ones go there at once."""
    channel = on_rabbit.connection.channel()
    channel.queue_delete(NAMED)
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(NAMED, durable=True, auto_delete=False, arguments=full)
    channel.basic_publish(Message(b"full"), "", NAMED)
    with suppress(MessageNacked):
        channel.basic_publish(Message(b"too full"), "", NAMED)
    await on_rabbit.publish(event("c-1"), event("c-2"))
    log = await on_rabbit.own()
    entries = await read(log, 2)
    unit = Settlement(0, replies=[Reply(NAMED, result()), Reply(None, b"2")], done=[entries[0].tag])
    assert 2 <= await settle(log, unit) <= 5
    await log.settle(Settlement(0, replies=[Reply(NAMED, result())], done=[entries[1].tag]), 2)
    other, *late = await on_rabbit.replies()
    assert (other, [error_kind_of(body) for body in late]) == (b"2", [REPLY_QUEUE] * 2)
    await log.close()
    await left(on_rabbit, 0)


async def test_a_missing_queue_is_declared_before_the_second_attempt(on_rabbit: OnRabbit) -> None:
    """A returned result is accepted at the second attempt, however many others were returned with it, and
    whatever the connection did meanwhile. A client's own queue is not declared."""
    queues = [f"numbergroup.replies.missing-{number}" for number in range(100)]
    absent = Outgoing("numbergroup.replies.absent", b"{}", may_declare=False)
    publisher = Publisher(on_rabbit.url, 4, Topology())
    publisher.start()
    try:
        for part in (queues[start : start + 10] for start in range(0, 100, 10)):
            messages = [*(Outgoing(queue, b"{}") for queue in part), absent]
            assert len(await publish_connected(publisher, messages)) == len(messages)
            assert [*await publisher.publish(messages)] == [len(part)]
    finally:
        publisher.stop()
        for queue in queues:
            on_rabbit.connection.channel().queue_delete(queue)


async def publish_connected(publisher: Publisher, messages: list[Outgoing]) -> dict[int, PublishFailure]:
    """Publish the messages once there is a connection; return the failures."""
    failures: dict[int, PublishFailure] = {}

    async def try_once() -> bool:
        failures.clear()
        failures.update(await publisher.publish(messages))
        return all(failure.cause is not FailureCause.LOST for failure in failures.values())

    await eventually(try_once, "a connection")
    return failures


def has_arguments(on_rabbit: OnRabbit, queue: str, **arguments: object) -> bool:
    """Whether the queue has these arguments."""
    try:
        on_rabbit.connection.channel().queue_declare(
            queue, durable=True, auto_delete=False, arguments=arguments
        )
    except PreconditionFailed:
        return False
    return True


@pytest.mark.parametrize(
    ("topology", "named", "default"),
    [
        (Topology(reply_expires_ms=60_000), {"x-expires": 60_000}, {}),
        (Topology(), {}, {}),
        (
            Topology(reply_type="quorum", reply_expires_ms=60_000),
            {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000, "x-expires": 60_000},
            {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000},
        ),
    ],
)
async def test_arguments_of_reply_queues(
    on_rabbit: OnRabbit, topology: Topology, named: dict[str, object], default: dict[str, object]
) -> None:
    """Unused queues that an event named expire; the default one never does. A classic queue has the arguments
    of a plain declaration, so that any consumer may declare it too."""
    await on_rabbit.amqp.close()
    for queue in (NAMED, REPLIES):
        on_rabbit.connection.channel().queue_delete(queue)
    on_rabbit.broker = on_rabbit.amqp = AmqpBroker(
        on_rabbit.url,
        on_rabbit.client,
        record_ms=DEDUP_MS,
        max_in_work=PREFETCH,
        heartbeat_s=4,
        topology=topology,
    )
    await on_rabbit.amqp.open()
    assert await answer_command(on_rabbit, Reply(NAMED, b"1"), Reply(None, b"2")) == 2
    assert (await on_rabbit.replies(NAMED), await on_rabbit.replies()) == ([b"1"], [b"2"])
    assert has_arguments(on_rabbit, NAMED, **named)
    assert has_arguments(on_rabbit, REPLIES, **default)
    on_rabbit.connection.channel().queue_delete(NAMED)
    on_rabbit.connection.channel().queue_delete(REPLIES)


@pytest.fixture
def small_messages_only(rabbit: RabbitServer) -> Any:
    """RabbitMQ accepts messages of at most 20,000 bytes."""
    expression = "application:{}_env(rabbit, max_message_size{})."
    rabbit.control("eval", expression.format("set", ", 20000"))
    yield rabbit
    rabbit.control("eval", expression.format("unset", ""))


async def test_results_that_are_too_large(small_messages_only: RabbitServer, on_rabbit: OnRabbit) -> None:
    """A list fails with a dead letter, and an array of results is split. The other results of the unit are
    published once, in order. Later results are fitted beforehand."""
    groups = [{"groupId": "g", "groupName": "", "remark": "", "phones": ["85211111114"] * 200}] * 20
    command = event("c-1")
    await on_rabbit.publish(command, event("c-2"))
    log = await on_rabbit.own()
    first, second = await read(log, 2)
    answers = [result(f"a-{number}", requestIds=["1" * 1_000]) for number in range(40)]
    replies = [
        Reply(None, result("before")),
        Reply(None, result("c-1", groups=groups, total=20), entry=first),
        Reply(None, b"[%b]" % b",".join(answers), entry=Entry(0, "t", b"[]", is_array=True)),
        Reply(None, result("after")),
    ]
    with capture_logs() as logs:
        assert await settle(log, Settlement(0, replies=replies, done=[first.tag])) >= 2
        await log.settle(Settlement(0, replies=replies[1:2], done=[second.tag]), 2)
    refusals = [line for line in logs if "has refused a result for its size" in line["event"]]
    assert [line["most_bytes"] for line in refusals] == [20_000]
    bodies = await on_rabbit.replies()
    assert all(len(body) <= 20_000 for body in bodies)
    results: list[Any] = []
    for body in bodies:
        parsed = RESULT_ADAPTER.validate_json(body)
        results += parsed if isinstance(parsed, list) else [parsed]
    names = [found.data.command.id for found in results]
    assert names == ["before", "c-1", *(f"a-{number}" for number in range(40)), "after", "c-1"]
    (failed, again) = (found for found in results if found.data.command.id == "c-1")
    assert failed == again
    assert (failed.data.status, failed.data.error.kind) == ("failed", "too-large")
    letters = await on_rabbit.client.xrange(keys.of_partition(0, keys.DEAD_LETTERS))
    assert [fields[b"body"] for _, fields in letters] == [command]
    await log.close()
    on_rabbit.reconnect()
    await left(on_rabbit, 0)
    assert on_rabbit.connection.channel().queue_declare(COMMANDS, passive=True).message_count == 0
