"""What only RabbitMQ does: lost connections, refused results, redeliveries."""

import asyncio
from typing import Any

import pytest
from deadlines import deadline
from integration_brokers import NAMED, OnRabbit, bodies, left, read
from integration_rig import event
from integration_servers import eventually
from kombu import Producer
from rabbit_server import RabbitServer
from structlog.testing import capture_logs

from numbergroup.brokers.amqp import consuming, queue_log
from numbergroup.brokers.amqp.connection_thread import open_connection
from numbergroup.brokers.amqp.topology import DEAD_LETTER_QUEUE
from numbergroup.brokers.port import BrokerUnavailable, Log
from numbergroup.engine.commands import Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.engine.verdicts import Refusal
from numbergroup.ledger import keys
from numbergroup_contracts.names import COMMANDS, REPLIES
from numbergroup_contracts.publishing.amqp_connection import connect as connect_to_publish
from numbergroup_contracts.publishing.amqp_connection import disconnect

pytestmark = pytest.mark.rabbitmq_server

MANY = [b"%d" % number for number in range(300)]


async def drop_connections(server: RabbitServer) -> None:
    await asyncio.to_thread(server.control, "close_all_connections", "for a test")


async def wait_until_void(entries: list[Entry]) -> None:
    """Return when the log knows that their channel is lost."""

    async def are_void() -> bool:
        return all(entry.awaits_redelivery for entry in entries)

    await eventually(are_void, "the entries are void")


async def settle(log: Log, unit: Settlement, awaited: str) -> None:
    """Settle the unit, in as many attempts as that takes."""

    async def try_once() -> bool:
        try:
            await log.settle(unit, 1)
        except BrokerUnavailable:
            return False
        return True

    await eventually(try_once, awaited)


async def test_a_lost_connection(on_rabbit: OnRabbit, rabbit: RabbitServer) -> None:
    """Unacknowledged messages are delivered again, in order, as new entries; acknowledged ones are not."""
    await on_rabbit.publish(*MANY)
    log = await on_rabbit.own()
    first = await read(log, 200)
    await log.settle(Settlement(0, done=[entry.tag for entry in first[:50]]), 1)
    await left(on_rabbit, 0)
    await drop_connections(rabbit)
    await wait_until_void(first[50:])
    again = await read(log, 250)
    assert bodies(again) == MANY[50:]
    assert not any(entry.awaits_redelivery for entry in again)
    await log.settle(Settlement(0, done=[entry.tag for entry in again]), 2)
    await log.close()
    on_rabbit.reconnect()
    await left(on_rabbit, 0)


async def test_notes_of_a_former_owner(on_rabbit: OnRabbit, rabbit: RabbitServer) -> None:
    """Notes on messages that RabbitMQ has are kept, and end with their messages; others are removed."""
    notes, array = keys.of_partition(0, "partial"), b"[" + event("c-0") + b"," + event("c-1") + b"]"
    await on_rabbit.publish(array)
    log = await on_rabbit.own()
    (first,) = await read(log, 1)
    await log.settle(Settlement(0, partial=[(first.tag, [1])]), 1)
    await log.close()
    await on_rabbit.client.hset(notes, "1-0", b"[0]")
    log = await on_rabbit.own("another")
    (again,) = await read(log, 1)
    assert again.settled == {1}
    await on_rabbit.publish(b"next")
    (following,) = await read(log, 1)
    await log.settle(Settlement(0, done=[following.tag]), 1)
    await log.settle(Settlement(0), 2)
    assert await on_rabbit.client.hgetall(notes) == {again.tag.encode(): b"[1]", following.tag.encode(): b"1"}
    await log.settle(Settlement(0, done=[again.tag]), 3)
    await log.close()
    assert not await on_rabbit.client.exists(notes)


async def test_answered_messages_behind_a_stuck_one(on_rabbit: OnRabbit, rabbit: RabbitServer) -> None:
    """After a lost connection they are redelivered, and not processed again; an equal, unanswered one is.

    They are acknowledged with the stuck message, after their notes are removed.
    """
    notes = keys.of_partition(0, "partial")
    await on_rabbit.publish(b"stuck", b"equal", b"equal", b"other")
    log = await on_rabbit.own()
    first = await read(log, 4)
    await log.settle(Settlement(0, done=[first[1].tag, first[3].tag]), 1)
    noted = {entry.tag.encode(): b"1" for entry in (first[1], first[3])}
    assert await on_rabbit.client.hgetall(notes) == noted
    await drop_connections(rabbit)
    await wait_until_void([first[0], first[2]])
    again = await read(log, 2)
    assert bodies(again) == [b"stuck", b"equal"]
    await log.settle(Settlement(0, done=[again[1].tag]), 2)
    assert await on_rabbit.client.hlen(notes) == 3
    await log.settle(Settlement(0, done=[again[0].tag]), 3)
    assert await log.read(1) == []
    assert not await on_rabbit.client.exists(notes)
    await log.close()
    on_rabbit.reconnect()
    await left(on_rabbit, 0)


async def test_an_old_entry_acknowledges_no_new_message(on_rabbit: OnRabbit, rabbit: RabbitServer) -> None:
    """Delivery tags start again on another channel: an old one must not acknowledge a new message."""
    await on_rabbit.publish(b"old 1", b"old 2", b"old 3")
    log = await on_rabbit.own()
    old = await read(log, 3)
    await drop_connections(rabbit)
    await wait_until_void(old)
    on_rabbit.reconnect()
    again = await read(log, 3)
    assert [entry.tag for entry in again] == [entry.tag for entry in old]
    await on_rabbit.publish(b"new 4")
    await read(log, 1)
    # This message is answered, so it may be acknowledged, and no other.
    await log.settle(Settlement(0, done=[old[0].tag]), 1)
    await log.close()
    await left(on_rabbit, 3)
    log = await on_rabbit.own("another")
    assert bodies(await read(log, 3)) == [b"old 2", b"old 3", b"new 4"]
    await log.close()


async def test_a_missing_reply_queue_is_declared(on_rabbit: OnRabbit) -> None:
    """An error is logged. The message stays until its results are confirmed; none is published twice."""
    on_rabbit.connection.channel().queue_delete(NAMED)
    await on_rabbit.publish(b"1")
    log = await on_rabbit.own()
    (entry,) = await read(log, 1)
    unit = Settlement(0, replies=[Reply(None, b"1"), Reply(NAMED, b"2"), Reply(None, b"3")], done=[entry.tag])
    with capture_logs() as logs, pytest.raises(BrokerUnavailable, match="1 of 3 results not taken"):
        await log.settle(unit, 1)
    assert {"log_level": "error", "queue": NAMED} in [
        {"log_level": line["log_level"], "queue": line.get("queue")} for line in logs
    ]
    await settle(log, unit, "the queue is there")
    assert (await on_rabbit.replies(), await on_rabbit.replies(NAMED)) == ([b"1", b"3"], [b"2"])
    await log.close()
    await left(on_rabbit, 0)


async def test_a_queue_that_refuses(on_rabbit: OnRabbit) -> None:
    """Nothing is acknowledged, and no result is lost."""
    await on_rabbit.publish(b"1")
    log = await on_rabbit.own()
    (entry,) = await read(log, 1)
    # The publisher has declared it by now, and will not declare it again.
    channel = on_rabbit.connection.channel()
    channel.queue_delete(REPLIES)
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(REPLIES, durable=True, auto_delete=False, arguments=full)
    unit = Settlement(0, replies=[Reply(None, b"%d" % n) for n in range(3)], done=[entry.tag])
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match="refuses it"):
            await log.settle(unit, 1)
    channel.queue_purge(REPLIES)
    channel.queue_delete(REPLIES)
    channel.queue_declare(REPLIES, durable=True, auto_delete=False)
    await log.settle(unit, 1)
    await log.close()
    await left(on_rabbit, 0)


async def test_a_stuck_message_does_not_fill_the_prefetch(on_rabbit: OnRabbit) -> None:
    """Settled messages behind it are acknowledged, and the rest of the queue is delivered."""
    messages = [b"%d" % number for number in range(3_000)]
    await on_rabbit.publish(*messages)
    log = await on_rabbit.own()
    (stuck,) = await read(log, 1)
    for serial in range(1, 30):
        entries = await read(log, 100)
        await log.settle(Settlement(0, done=[entry.tag for entry in entries]), serial)
    assert entries[-1].body == messages[2_900]
    await log.close()
    log = await on_rabbit.own("another")
    assert (await read(log, 1))[0].body == stuck.body
    await log.close()


async def test_large_messages(on_rabbit: OnRabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: fewer are delivered at once, and none is lost."""
    monkeypatch.setattr(queue_log, "_MAX_WINDOW_BYTES", 100_000)
    messages = [b"%05d" % number * 1_000 for number in range(100)]
    await on_rabbit.publish(*messages)
    log = await on_rabbit.own()
    seen: list[bytes] = []
    serial = 0
    async with deadline(30):
        while len(seen) < 100:
            entries = [entry for entry in await log.read(1000) if not entry.awaits_redelivery]
            serial += 1
            await log.settle(Settlement(0, done=[entry.tag for entry in entries]), serial)
            seen += bodies(entries)
    assert list(dict.fromkeys(seen)) == messages
    await log.close()


async def test_a_message_that_rabbitmq_dead_lettered(on_rabbit: OnRabbit) -> None:
    """It is read with RabbitMQ's reason, and refused as the command that its body contains."""
    body = event("c-1")
    await on_rabbit.publish(body)
    channel = on_rabbit.connection.channel()
    Producer(channel).publish(
        body,
        routing_key=DEAD_LETTER_QUEUE,
        content_type="application/json",
        content_encoding="utf-8",
        headers={"x-death": [{"reason": "delivery_limit", "queue": COMMANDS, "count": 1}]},
    )
    log = await on_rabbit.own()
    entries = await read(log, 2)
    dead_letter = next(entry for entry in entries if entry.problem)
    (refusal,) = Intake().read(dead_letter)
    assert isinstance(refusal, Refusal)
    assert "delivery_limit" in refusal.message
    assert refusal.key == ("test", "c-1")
    await log.settle(Settlement(0, done=[entry.tag for entry in entries]), 1)
    await log.close()
    await wait_until_empty(on_rabbit, DEAD_LETTER_QUEUE)


async def wait_until_empty(place: OnRabbit, queue: str) -> None:
    async def is_empty() -> bool:
        count: Any = place.connection.channel().queue_declare(queue, passive=True).message_count
        return bool(count == 0)

    await eventually(is_empty, f"{queue} is empty")


async def test_a_channel_that_is_closed(on_rabbit: OnRabbit, rabbit: RabbitServer) -> None:
    """RabbitMQ closes it for a forbidden publication: the results are sent and confirmed on a new one."""
    await on_rabbit.publish(b"1")
    log = await on_rabbit.own()
    (entry,) = await read(log, 1)
    unit = Settlement(0, replies=[Reply(None, b"1"), Reply(None, b"2")], done=[entry.tag])

    async def permit_writing(pattern: str) -> None:
        await asyncio.to_thread(rabbit.control, "set_permissions", "guest", ".*", pattern, ".*")

    await permit_writing("^$")
    try:
        for _ in range(2):
            async with deadline(10):
                with pytest.raises(BrokerUnavailable, match="results not taken"):
                    await log.settle(unit, 1)
    finally:
        await permit_writing(".*")
    await settle(log, unit, "the results are out")
    assert set(await on_rabbit.replies()) == {b"1", b"2"}
    await log.close()
    await left(on_rabbit, 0)


async def test_a_backlog_that_is_not_delivered(on_rabbit: OnRabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker reconnects and logs an error, until the waiting messages are delivered."""
    monkeypatch.setattr(consuming, "_IDLE_CHECK_S", 0.5)
    other = on_rabbit.connection.channel()
    other.basic_qos(0, 1, False)
    other.basic_consume(COMMANDS, callback=lambda _: None)
    await on_rabbit.publish(b"1", b"2", b"3")
    with capture_logs() as logs:
        log = await on_rabbit.own()
        reading = asyncio.create_task(read(log, 3))

        async def is_logged_twice() -> bool:
            return sum("does another program consume it?" in line.get("error", "") for line in logs) >= 2

        await eventually(is_logged_twice, "the worker reconnects")
    other.close()
    assert bodies(await reading) == [b"1", b"2", b"3"]
    await log.close()


async def test_strings_that_are_too_long_for_amqp(on_rabbit: OnRabbit) -> None:
    """255 characters may be more than 255 bytes. The correlation id is left out; instead of such a queue the
    default one gets the result."""
    await on_rabbit.publish(b"1")
    log = await on_rabbit.own()
    (entry,) = await read(log, 1)
    replies = [
        Reply(None, b"1", correlation_id="\u00e9" * 255),
        Reply("numbergroup.replies." + "\u00e9" * 200, b"2"),
        Reply(None, b"3", correlation_id="c" * 255),
    ]
    await log.settle(Settlement(0, replies=replies, done=[entry.tag]), 1)
    assert await on_rabbit.replies() == [b"1", b"2", b"3"]
    await log.close()
    await left(on_rabbit, 0)


def test_parameters_of_the_url_take_effect(rabbit: RabbitServer) -> None:
    """Broker and client agree on what the URL asks for, for workers and for producers."""
    url = f"{rabbit.url}?frame_max=8192&channel_max=20&heartbeat=7&auth_mechanism=amqplain"
    connection = open_connection(url, "test", heartbeat_s=5)
    try:
        tuned = (connection.frame_max, connection.channel_max, connection.heartbeat)
        assert tuned == (8192, 20, 7)
    finally:
        connection.close()
    connection = connect_to_publish(url, 10.0)
    try:
        assert (connection.frame_max, connection.channel_max) == (8192, 20)
    finally:
        disconnect(connection)
