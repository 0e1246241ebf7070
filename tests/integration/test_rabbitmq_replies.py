"""Results on RabbitMQ whose queue cannot be had, or that are larger than a message may be."""

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


def fault_of(body: bytes) -> str | None:
    found = RESULT_ADAPTER.validate_json(body)
    assert not isinstance(found, list)
    assert found.data.status == "applied"
    return None if found.data.error is None else found.data.error.kind


async def settle(log: Log, unit: Settlement) -> int:
    """Settle it, and return how often that was tried."""
    tries = 0

    async def written() -> bool:
        nonlocal tries
        tries += 1
        try:
            await log.settle(unit, 1)
        except BrokerUnavailable:
            return False
        return True

    await eventually(written, "the unit is settled")
    return tries


async def settled(on_rabbit: OnRabbit, *replies: Reply) -> int:
    """Answer one command with these, and see it leave the broker."""
    await on_rabbit.publish(event("c-1"))
    log = await on_rabbit.own()
    (entry,) = await read(log, 1)
    tries = await settle(log, Settlement(0, replies=list(replies), done=[entry.tag]))
    await log.close()
    await left(on_rabbit, 0)
    return tries


def to_client(queue: str, body: bytes) -> Reply:
    """The answer to a message whose own `reply_to` names the queue."""
    return Reply(queue, body, entry=Entry(0, "tag", event("c-1"), reply_to=queue))


def exists(on_rabbit: OnRabbit, queue: str) -> bool:
    try:
        on_rabbit.connection.channel().queue_declare(queue, passive=True)
    except NotFound:
        return False
    return True


@asynccontextmanager
async def direct_client(server: RabbitServer) -> AsyncIterator[tuple[str, list[bytes], Any]]:
    """A client that waits without a queue: its address, what it has received, and its connection."""
    with Connection(f"127.0.0.1:{server.port}") as connection:
        received: list[bytes] = []
        channel = connection.channel()
        channel.basic_consume(
            "amq.rabbitmq.reply-to",
            no_ack=True,
            callback=lambda message: received.append(message.body.encode()),
        )
        asking = channel.queue_declare("asking", exclusive=True).queue
        channel.basic_publish(Message(b"", reply_to="amq.rabbitmq.reply-to"), "", asking)
        asked: list[str] = []

        async def addressed() -> bool:
            message = channel.basic_get(asking, no_ack=True)
            asked.extend([] if message is None else [message.properties["reply_to"]])
            return bool(asked)

        await eventually(addressed, "the client's address")
        yield asked[0], received, connection


async def test_a_client_without_a_queue(on_rabbit: OnRabbit, rabbit: RabbitServer) -> None:
    """It gets its answers once, although RabbitMQ calls its address no queue; when it has gone, they are in
    the default queue, with an error, and nothing waits for it."""
    async with direct_client(rabbit) as (address, received, connection):
        assert await settled(on_rabbit, to_client(address, result())) == 1

        async def answered() -> bool:
            await asyncio.to_thread(connection.heartbeat_tick)
            connection.channel().queue_declare(REPLIES, passive=True)
            return bool(received)

        await eventually(answered, "its answer")
        assert received == [result()]
    assert await on_rabbit.replies() == []
    assert await settled(on_rabbit, Reply(None, b"1"), to_client(address, result()), Reply(None, b"2")) == 1
    first, late, last = await on_rabbit.replies()
    assert (first, fault_of(late), last) == (b"1", REPLY_QUEUE, b"2")


@pytest.mark.parametrize(
    "queue", ["numbergroup.replies.of-a-client", "amq.gen-bSPYLb8HNBKnRVAW", "amq.rabbitmq.reply-to.nobody"]
)
async def test_the_queue_of_a_client_that_has_gone(on_rabbit: OnRabbit, queue: str) -> None:
    """It is not declared in the client's place, which could not declare it for itself any more: the answer is
    in the default queue, with an error, after a second try at most."""
    with Connection(f"127.0.0.1:{on_rabbit.url.rpartition(':')[2].rstrip('/')}") as client:
        if not queue.startswith("amq."):
            client.channel().queue_declare(queue, exclusive=True)
    assert await settled(on_rabbit, to_client(queue, result())) <= 2
    assert [fault_of(body) for body in await on_rabbit.replies()] == [REPLY_QUEUE]
    assert not exists(on_rabbit, queue)


async def test_a_clients_exclusive_queue(on_rabbit: OnRabbit) -> None:
    """As long as the client is there it is answered there; afterwards in the default queue, also where the
    answer is due that very moment."""
    queue = "numbergroup.replies.exclusive"
    with Connection(f"127.0.0.1:{on_rabbit.url.rpartition(':')[2].rstrip('/')}") as client:
        channel = client.channel()
        channel.queue_declare(queue, exclusive=True)
        assert await settled(on_rabbit, to_client(queue, result())) == 1
        assert channel.basic_get(queue, no_ack=True).body.encode() == result()
    assert await settled(on_rabbit, to_client(queue, b"[%b]" % result())) <= 2
    ((body),) = await on_rabbit.replies()
    assert fault_of(body[1:-1]) == REPLY_QUEUE


async def test_a_queue_that_refuses_holds_up_nobody(on_rabbit: OnRabbit) -> None:
    """One that was asked for, and is full: after some tries its answers are in the default queue, and from
    then on each of them goes there at once."""
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
    assert (other, [fault_of(body) for body in late]) == (b"2", [REPLY_QUEUE] * 2)
    await log.close()
    await left(on_rabbit, 0)


async def test_a_queue_is_declared_before_its_second_try(on_rabbit: OnRabbit) -> None:
    """A result that came back for want of a queue is taken the next time, however many others came back with
    it, and whatever the connection was doing meanwhile. A client's own queue is not declared."""
    queues = [f"numbergroup.replies.missing-{number}" for number in range(100)]
    absent = Outgoing("numbergroup.replies.absent", b"{}", may_declare=False)
    publisher = Publisher(on_rabbit.url, 4, Topology())
    publisher.start()
    try:
        for some in (queues[at : at + 10] for at in range(0, 100, 10)):
            messages = [*(Outgoing(queue, b"{}") for queue in some), absent]
            assert len(await connected(publisher, messages)) == len(messages)
            assert [*await publisher.publish(messages)] == [len(some)]
    finally:
        publisher.stop()
        for queue in queues:
            on_rabbit.connection.channel().queue_delete(queue)


async def connected(publisher: Publisher, messages: list[Outgoing]) -> dict[int, PublishFailure]:
    """What is not taken of the messages, once there is a connection."""
    found: dict[int, PublishFailure] = {}

    async def answered() -> bool:
        found.clear()
        found.update(await publisher.publish(messages))
        return all(failure.cause is not FailureCause.LOST for failure in found.values())

    await eventually(answered, "a connection")
    return found


def declared_as(on_rabbit: OnRabbit, queue: str, **arguments: object) -> bool:
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
async def test_what_is_declared_for_results(
    on_rabbit: OnRabbit, topology: Topology, named: dict[str, object], default: dict[str, object]
) -> None:
    """Queues that were named by an event expire when nobody uses them; the default one never does. A classic
    one is what any consumer declares that says no more than its name."""
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
    assert await settled(on_rabbit, Reply(NAMED, b"1"), Reply(None, b"2")) == 2
    assert (await on_rabbit.replies(NAMED), await on_rabbit.replies()) == ([b"1"], [b"2"])
    assert declared_as(on_rabbit, NAMED, **named)
    assert declared_as(on_rabbit, REPLIES, **default)
    on_rabbit.connection.channel().queue_delete(NAMED)
    on_rabbit.connection.channel().queue_delete(REPLIES)


@pytest.fixture
def takes_little(rabbit: RabbitServer) -> Any:
    """The broker takes messages of 20,000 bytes at most."""
    expression = "application:{}_env(rabbit, max_message_size{})."
    rabbit.control("eval", expression.format("set", ", 20000"))
    yield rabbit
    rabbit.control("eval", expression.format("unset", ""))


async def test_results_that_the_broker_does_not_take(takes_little: RabbitServer, on_rabbit: OnRabbit) -> None:
    """A list has failed, with a letter; an array of answers comes in several; whatever was settled with them
    is answered once, and in order; and what comes later does not meet the limit any more."""
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
    found: list[Any] = []
    for body in bodies:
        said = RESULT_ADAPTER.validate_json(body)
        found += said if isinstance(said, list) else [said]
    names = [one.data.command.id for one in found]
    assert names == ["before", "c-1", *(f"a-{number}" for number in range(40)), "after", "c-1"]
    (failed, again) = (one for one in found if one.data.command.id == "c-1")
    assert failed == again
    assert (failed.data.status, failed.data.error.kind) == ("failed", "too-large")
    letters = await on_rabbit.client.xrange(keys.of_partition(0, keys.DEAD_LETTERS))
    assert [fields[b"body"] for _, fields in letters] == [command]
    await log.close()
    on_rabbit.reconnect()
    await left(on_rabbit, 0)
    assert on_rabbit.connection.channel().queue_declare(COMMANDS, passive=True).message_count == 0
