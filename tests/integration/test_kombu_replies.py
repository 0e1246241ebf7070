"""Answers to what came over a list: on a list again, and as stock kombu reads them."""

import asyncio
from base64 import b64decode
from typing import Any

import orjson
import pytest
from integration_kombu import consuming, envelope, publish, push
from integration_rig import PARTIAL, Rig, event
from integration_servers import eventually
from integration_stage import Stage
from redis.asyncio import Redis

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.engine.settling.fitting import REPLY_QUEUE
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.sandbox.faults import Status

LIST, STREAM = "numbergroup.replies", "numbergroup:replies"


async def received(url: str, queue: str = LIST) -> list[tuple[Any, str | None, str]]:
    """What a stock consumer gets: body, correlation id, and the queue that the envelope names."""
    with consuming(url, queue) as messages:
        return [
            (message.payload, message.properties.get("correlation_id"), message.delivery_info["routing_key"])
            for message in messages
        ]


async def on_list(client: Redis, queue: str = LIST) -> list[Any]:
    """Bodies of the replies on a list, oldest first, without taking them away."""
    with_envelope = [orjson.loads(raw) for raw in await client.lrange(queue, 0, -1)]
    return [orjson.loads(b64decode(one["body"])) for one in reversed(with_envelope)]


def result(number: int) -> bytes:
    return orjson.dumps({"id": f"r-{number}", "data": {"status": "applied"}})


async def test_answers_are_in_order_and_readable(rig: Rig) -> None:
    """Each in the queue that was asked for, else in the default one; those for streams go there."""
    replies = [
        Reply(None, b'{"r":1}', "77", from_list=True),
        Reply(None, b'{"r":2}'),
        Reply("numbergroup.replies.crm", b'[{"r":3}]', None, from_list=True),
        Reply(None, b'{"r":4}', None, from_list=True),
    ]
    log = await rig.own()
    await log.settle(Settlement(0, replies=replies), 1)
    await log.settle(Settlement(0, replies=replies), 1)
    assert await rig.replies() == [b'{"r":2}']
    assert await received(rig.url) == [({"r": 1}, "77", LIST), ({"r": 4}, None, LIST)]
    crm = "numbergroup.replies.crm"
    assert await received(rig.url, crm) == [([{"r": 3}], None, crm)]


@pytest.mark.parametrize("queue", ["numbergroup.replies.crm", STREAM])
async def test_a_reply_queue_that_is_no_list(rig: Rig, queue: str) -> None:
    """The answer goes to the default list, with an error, and names that one; what is there stays."""
    await rig.client.xadd(queue, {"event": "old"})
    replies = [Reply(queue, result(1), "77", from_list=True)]
    await (await rig.own()).settle(Settlement(0, replies=replies), 1)
    ((answer, correlation_id, named),) = await received(rig.url)
    assert (answer["id"], answer["data"]["error"]["kind"]) == ("r-1", REPLY_QUEUE)
    assert (correlation_id, named) == ("77", LIST)
    assert await rig.replies(queue) == [b"old"]


async def test_one_name_for_both_kinds(rig: Rig) -> None:
    """A queue is what it first was, within one unit too; and ours are never what they must not be."""
    both = "numbergroup.replies.both"
    replies = [
        Reply(both, result(1)),
        Reply(both, result(2), from_list=True),
        Reply(STREAM, result(3), from_list=True),
        Reply(LIST, result(4)),
    ]
    await (await rig.own()).settle(Settlement(0, replies=replies), 1)
    assert await rig.replies(both) == [result(1)]
    assert [orjson.loads(body)["id"] for body in await rig.replies()] == ["r-4"]
    assert [body["id"] for body, *_ in await received(rig.url)] == ["r-2", "r-3"]


async def test_the_default_list_is_something_else(rig: Rig) -> None:
    """Nothing is written, until it is put right."""
    await rig.client.set(LIST, "not ours")
    log = await rig.own()
    before = await rig.everything()
    unit = Settlement(0, replies=[Reply(None, b"{}", from_list=True)])
    with pytest.raises(BrokerUnavailable, match="WRONGTYPE"):
        await log.settle(unit, 1)
    assert await rig.everything() == before
    await rig.client.delete(LIST)
    await log.settle(unit, 1)
    assert await on_list(rig.client) == [{}]


def names(bodies: list[Any]) -> list[tuple[str, str]]:
    """Command id and status of each result."""
    events = [one for body in bodies for one in (body if isinstance(body, list) else [body])]
    return [(one["data"]["command"]["id"], one["data"]["status"]) for one in events]


async def answered(stage: Stage, count: int, queue: str = LIST) -> list[Any]:
    """The replies on the list, once they have so many results and nothing else is left."""

    async def enough() -> list[Any]:
        found = await on_list(stage.client, queue)
        return found if len(names(found)) >= count and not await stage.left() else []

    found = await eventually(enough, f"{count} results on a list")
    assert len(names(found)) == count
    return found


async def test_from_list_to_list(stage: Stage) -> None:
    """A worker answers on a list what came over one, and on the stream what came over that."""
    async with stage.worker():
        publish(stage.url, event("c-1", phones="85211111111"))
        await stage.publish(event("c-2", phones="85211111112"))
        publish(stage.url, event("c-3"), reply_to="numbergroup:replies:crm", correlation_id="77")
        publish(stage.url, event("c-4"), content_type="text/plain")
        await push(stage, b"neither JSON nor anything")
        assert dict(names(await answered(stage, 2))) == {"c-1": "applied", "c-4": "rejected"}
        ((third),) = await answered(stage, 1, "numbergroup:replies:crm")
        assert third["correlationid"] == "77"
        assert await stage.results() == [("c-2", "applied")]
    letters = await stage.client.xrange("numbergroup:{0}:dead-letters")
    assert [fields[b"body"] for _, fields in letters] == [event("c-4"), b"neither JSON nor anything"]


async def test_lists_do_not_wait_for_room(stage: Stage) -> None:
    """However little the worker can take in, what is on the lists goes to the stream."""
    stage.gate.opened.clear()
    async with stage.worker(ports={"max_pending": 5}):
        await stage.publish(event("c-0"))
        await stage.calls_waiting(1)
        publish(stage.url, *(event(f"c-{n}", phones=f"8521{n:07}") for n in range(1, 101)))

        async def moved() -> bool:
            return len(await stage.left()) == 101

        await eventually(moved, "all is in the stream")
        stage.gate.opened.set()
        await answered(stage, 100)


async def test_a_message_that_is_half_settled(stage: Stage) -> None:
    """An array over a list, one of whose groups is stuck when the worker stops: the next one does that part
    only, and both answers are on the list."""
    stage.fault(Status(status=503, group_id="stuck"))  # type: ignore[call-arg]
    publish(stage.url, b"[" + event("c-1", "good") + b"," + event("c-2", "stuck") + b"]", correlation_id="77")
    async with stage.worker():

        async def half() -> bool:
            return names(await on_list(stage.client)) == [("c-1", "applied")]

        await eventually(half, "one is answered")
        (tag,) = await stage.left()
        assert await stage.client.hgetall(PARTIAL) == {tag.encode(): b"[0]"}
    stage.sandbox.state.faults.clear()
    async with stage.worker("next"):
        await answered(stage, 2)
    assert [(names([body]), cid) for body, cid, _ in await received(stage.url)] == [
        ([("c-1", "applied")], "77"),
        ([("c-2", "applied")], "77"),
    ]
    assert [call.group_id for call in stage.sandbox.state.calls.recent()].count("good") == 1


async def test_a_worker_that_was_replaced_leaves_the_lists(stage: Stage) -> None:
    """It finds that out when it moves something, and stands by; the next owner moves it."""
    async with stage.worker() as running:
        await running.owns()
        await stage.client.delete("numbergroup:{0}:lease")
        epoch = await stage.ledger.acquire_lease(0, "another", 600.0)
        assert epoch is not None
        await push(stage, envelope(event("c-1").decode()))
        await running.asked_again("read_owners", 2)
        assert await stage.client.llen("numbergroup.commands") == 1
        await stage.ledger.release_lease(0, "another", epoch)
        assert names(await answered(stage, 1)) == [("c-1", "applied")]


@pytest.mark.redis_server
async def test_the_broker_dies_again_and_again(open_redis: Any) -> None:
    """Killed at any moment of a busy time, it costs no command, and no result comes twice."""
    server = open_redis(durable=True)
    async with Stage(server.url) as stage, stage.worker():
        for round_ in range(4):
            new = [event(f"c-{n}", f"g-{n % 8}", phones=f"8521{n:07}") for n in range(400)][round_::4]
            await push(stage, *(envelope(body.decode()) for body in new))
            server.kill()
            await asyncio.to_thread(server.start)
        found = names(await answered(stage, 400))
        assert {name for name, _ in found} == {f"c-{n}" for n in range(400)}
        for g in range(8):
            assert stage.members(f"g-{g}") == {f"8521{n:07}" for n in range(400) if n % 8 == g}
