"""Producers and consumers that use stock kombu over RabbitMQ, written as their users would write them."""

import contextlib
import json
import zlib

import pytest
from deadlines import room
from e2e_answers import letters
from e2e_brokers import on_rabbitmq
from e2e_commands import Event, Script
from e2e_kombu import Inbox, publishing
from e2e_processes import eventually
from e2e_rabbit import COMMANDS, REPLIES, RabbitStage
from kombu import Connection, Consumer, Exchange, Queue
from kombu.serialization import dumps as serialize
from kombu.simple import SimpleQueue

from numbergroup_contracts.results import RESULT_ADAPTER

pytestmark = [pytest.mark.redis_server, on_rabbitmq]

MINE = "numbergroup.replies.mine"
PHONES = ["85212345671", "85212345672", "85212345673"]


def received(connection: Connection, inbox: Inbox, count: int) -> None:
    """Wait until the inbox has so many results: no fewer, and no more."""

    def enough() -> bool:
        with contextlib.suppress(TimeoutError):
            while inbox.count < count:
                connection.drain_events(timeout=1)
        return inbox.count >= count

    eventually(enough, f"{count} results")
    assert inbox.count == count


def drained(stage: RabbitStage, count: int, *queues: str) -> Inbox:
    """What has come to these queues, once it is so much."""
    inbox = Inbox()
    with (
        Connection(stage.settings["BROKER_URL"]) as connection,
        Consumer(connection, [Queue(name) for name in queues], callbacks=[inbox.on_message], accept=["json"]),
    ):
        received(connection, inbox, count)
    return inbox


def bad(name: str) -> Event:
    """A good command, but for how it is sent."""
    data = {"groupId": "never", "operateType": "add", "phones": PHONES}
    return {"specversion": "1.0", "id": name, "source": "e2e", "type": "numbergroup.update.v1", "data": data}


def test_as_users_write_it(stage: RabbitStage) -> None:
    """A create and updates by its key, alone and in an array, through the default exchange and through the
    worker's own, with properties: each is answered to the queue that was asked for, and the group is
    right."""
    script = Script()
    stage.worker()
    create = script.create("key", PHONES)
    array = [script.update("key", "add", [f"8529{n:07}"]) for n in range(3)]
    others = [script.update("key", "delete", PHONES[:1]), script.update("key", "add", ["85298765432"])]
    mine = Inbox()
    with (
        publishing(stage) as producer,
        Connection(stage.settings["BROKER_URL"]) as connection,
        Consumer(connection, [Queue(MINE)], callbacks=[mine.on_message], accept=["json"]),
    ):
        producer.publish(create, routing_key=COMMANDS)
        producer.publish(array, routing_key=COMMANDS, correlation_id="for-the-array")
        producer.publish(
            json.dumps(others[0]),
            exchange=Exchange("numbergroup", type="direct", durable=True),
            routing_key=COMMANDS,
            content_type="application/cloudevents+json",
            content_encoding="utf-8",
            reply_to=MINE,
            correlation_id="77",
        )
        producer.publish(others[1], exchange="numbergroup", routing_key=COMMANDS, priority=9)
        received(connection, mine, 1)

    inbox = drained(stage, 5, REPLIES)
    assert {inbox.status(name) for name in inbox.of} <= {"applied", "superseded"}
    assert set(inbox.of) == {create["id"], others[1]["id"], *(one["id"] for one in array)}
    assert inbox.in_arrays == {one["id"] for one in array}
    assert {inbox.correlation[one["id"]] for one in array} == {"for-the-array"}
    assert mine.correlation == {others[0]["id"]: "77"}
    (result,) = mine.of[others[0]["id"]]
    assert result.correlationid == "77"
    eventually(lambda: not stage.backlog(), "an empty queue")
    assert stage.vendor.groups() == script.groups
    assert letters(stage.redis.client) == []


def test_what_is_not_taken(stage: RabbitStage) -> None:
    """Whatever else kombu can send is kept as a dead letter, as it came; who can be read is answered; and
    what is good between it is applied."""
    script = Script()
    stage.worker()
    good = [script.update("group", "add", [phone]) for phone in PHONES]
    long = json.dumps(bad("long") | {"subject": "x" * 10_000_000})
    with publishing(stage) as producer:
        producer.publish(good[0], routing_key=COMMANDS)
        producer.publish({"hello": "world"}, routing_key=COMMANDS)
        producer.publish(bad("squeezed"), routing_key=COMMANDS, compression="zlib")
        producer.publish(bad("pickled"), routing_key=COMMANDS, serializer="pickle")
        producer.publish("id: yaml", routing_key=COMMANDS, content_type="application/x-yaml")
        as_text = json.dumps(bad("as text"))
        producer.publish(as_text, routing_key=COMMANDS, content_type="text/plain", content_encoding="utf-8")
        in_utf16 = json.dumps(bad("in UTF-16")).encode("utf-16")
        json_of = {"routing_key": COMMANDS, "content_type": "application/json"}
        producer.publish(in_utf16, content_encoding="utf-16", **json_of)
        producer.publish(good[1], routing_key=COMMANDS)
        producer.publish(long, content_encoding="utf-8", **json_of)
        producer.publish(b"", content_encoding="utf-8", **json_of)
        latin = json.dumps(bad("Latin-1")).replace("never", "n\xe9ver").encode("latin-1")
        producer.publish(latin, content_encoding="utf-8", **json_of)
        to_celery = bad("to celery") | {"type": "numbergroup.x"}
        producer.publish(to_celery, routing_key=COMMANDS, reply_to="celery")
        producer.publish(good[2], routing_key=COMMANDS)

    inbox = drained(stage, 7, REPLIES)
    rejected = {"as text", "long", "Latin-1", "to celery"}
    assert {name for name in inbox.of if inbox.status(name) == "rejected"} == rejected
    assert set(inbox.of) == rejected | {one["id"] for one in good}
    eventually(lambda: not stage.backlog(), "an empty queue")
    kept = [body for _, body in letters(stage.redis.client)]
    whole = [body for body in kept if body.startswith(b"{")]
    assert whole == [
        json.dumps({"hello": "world"}).encode(),
        as_text.encode(),
        long.encode(),
        latin,
        serialize(to_celery, "json")[2].encode(),
    ]
    assert [body for body in kept if body not in whole] == [
        zlib.compress(json.dumps(bad("squeezed")).encode()),
        serialize(bad("pickled"), "pickle")[2],
        b"id: yaml",
        in_utf16,
        b"",
    ]
    assert stage.vendor.groups() == script.groups


def test_simple_queues(stage: RabbitStage) -> None:
    """kombu's `SimpleQueue` reads the replies, declared as it pleases, and writes commands to the worker's
    queue if it is told not to declare that."""
    script = Script()
    commands = Queue(COMMANDS, Exchange("numbergroup"), routing_key=COMMANDS, no_declare=True)
    stage.worker()
    with (
        Connection(stage.settings["BROKER_URL"], transport_options={"confirm_publish": True}) as connection,
        SimpleQueue(connection, REPLIES, serializer="json") as replies,
        SimpleQueue(connection, commands) as to_worker,
    ):
        to_worker.put(event := script.update("group", "add", PHONES))
        message = replies.get(timeout=room(20))
        message.ack()
    assert RESULT_ADAPTER.validate_python(message.payload).data.command.id == event["id"]
    assert stage.vendor.groups() == script.groups
