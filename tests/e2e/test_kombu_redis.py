"""Producers and consumers that use stock kombu over Redis, written as their users would write them."""

import json
from collections import Counter

import pytest
from e2e_answers import letters
from e2e_commands import Event, Script
from e2e_kombu import Inbox, publishing, receive
from e2e_processes import eventually
from e2e_stage import Stage

pytestmark = pytest.mark.redis_server

COMMANDS = "numbergroup.commands"
REPLIES = "numbergroup.replies"
PHONES = ["85212345671", "85212345672", "85212345673"]


def drained(stage: Stage, count: int, queue: str = REPLIES) -> Inbox:
    """An inbox with so many results: no fewer, and no more."""
    inbox = Inbox()
    receive(stage, inbox, count, queue)
    return inbox


def all_gone(stage: Stage) -> bool:
    """Whether no command is left, in any form."""
    lists = stage.redis.client.keys(f"{COMMANDS}*")
    return not lists and not stage.backlog() and not stage.redis.client.exists("numbergroup:{0}:partial")


def test_as_users_write_it(stage: Stage) -> None:
    """A create and updates by its key, alone and in an array, with properties and priorities, and bad ones:
    each is answered to the list that was asked for, and the group is right."""
    script = Script()
    stage.worker()
    create = script.create("key", PHONES)
    array = [script.update("key", "add", [f"8529{n:07}"]) for n in range(3)]
    with publishing(stage) as producer:
        producer.publish(create, routing_key=COMMANDS)
        producer.publish(array, routing_key=COMMANDS, correlation_id="for-the-array")
        producer.publish(
            json.dumps(script.update("key", "delete", PHONES[:1])),
            routing_key=COMMANDS,
            content_type="application/cloudevents+json",
            content_encoding="utf-8",
            reply_to="numbergroup.replies.crm",
            correlation_id="77",
        )
        producer.publish({"hello": "world"}, routing_key=COMMANDS)
        producer.publish(event := bad("pickled"), routing_key=COMMANDS, serializer="pickle")
        producer.publish(json.dumps(event | {"id": "text"}), routing_key=COMMANDS, priority=9)
        producer.publish(event | {"id": "squeezed"}, routing_key=COMMANDS, compression="gzip")
    stage.redis.client.lpush(COMMANDS, b"\xff no envelope at all")

    inbox = drained(stage, 5)
    assert {name: inbox.status(name) for name in inbox.of} == {
        **{one["id"]: inbox.status(one["id"]) for one in [create, *array]},
        "text": "rejected",
    }
    assert {inbox.status(one["id"]) for one in [create, *array]} <= {"applied", "superseded"}
    assert inbox.in_arrays == {one["id"] for one in array}
    assert {inbox.correlation[one["id"]] for one in array} == {"for-the-array"}
    crm = drained(stage, 1, "numbergroup.replies.crm")
    ((name, (result,)),) = crm.of.items()
    assert (crm.correlation[name], result.correlationid) == ("77", "77")
    assert result.data.status in ("applied", "superseded")

    eventually(lambda: all_gone(stage), "nothing left")
    assert stage.vendor.groups() == script.groups
    problems = Counter(letter.error.message for letter, _ in letters(stage.redis.client))
    assert sum(problems.values()) == 5
    assert problems["not the envelope that kombu puts on a list"] == 1
    assert problems["the body is compressed: publish it without compression"] == 1
    assert not stage.redis.client.exists("numbergroup:replies"), "an answer that went to the stream"


def bad(name: str) -> Event:
    """A command that is good, but for how it is published."""
    data = {"groupId": "none", "operateType": "add", "phones": PHONES}
    return {"specversion": "1.0", "id": name, "source": "e2e", "type": "numbergroup.update.v1", "data": data}


def test_priorities(stage: Stage) -> None:
    """What waits is taken in kombu's order: the last word on a number is that of the lowest list."""
    with publishing(stage) as producer:
        for name, operation, priority in [("c-9", "add", 9), ("c-0", "add", 0), ("c-5", "delete", 5)]:
            event = bad(name)
            event["data"] = {"groupId": "group", "operateType": operation, "phones": PHONES[:1]}
            producer.publish(event, routing_key=COMMANDS, priority=priority)
    stage.worker()
    inbox = drained(stage, 3)
    assert set(inbox.of) == {"c-0", "c-5", "c-9"}
    eventually(lambda: all_gone(stage), "nothing left")
    assert stage.vendor.groups() == {"group": set(PHONES[:1])}


def test_killed_in_the_middle_of_three_thousand(stage: Stage) -> None:
    """One result each, right groups, and nothing left in lists and streams."""
    script = Script()
    script.some_updates(3_000, [f"id{n:02}" for n in range(24)])
    first = stage.worker(CALLS_PER_SECOND="50")
    with publishing(stage) as producer, producer.batch(max_size=100):
        for event in script.events[:2_000]:
            producer.publish(event, routing_key=COMMANDS)
        eventually(lambda: stage.vendor.count() >= 10, "work going on")
        first.kill()
        for event in script.events[2_000:]:
            producer.publish(event, routing_key=COMMANDS)
    assert stage.backlog() > 0, "it was killed after its work, not in the middle"
    second = stage.worker()
    eventually(lambda: not stage.redis.client.exists(COMMANDS), "moving going on")
    second.kill()
    stage.worker()
    inbox = drained(stage, 3_000)
    assert {name: len(results) for name, results in inbox.of.items()} == {
        event["id"]: 1 for event in script.events
    }
    eventually(lambda: all_gone(stage), "nothing left")
    assert stage.vendor.groups() == script.groups
    assert stage.redis.client.llen(REPLIES) == 0
