"""From kombu's lists into the streams: in order, each message once, whatever happens on the way."""

import asyncio
import random
from typing import Any

import orjson
import pytest
from integration_kombu import envelope, feed_all, moved, publish, push
from integration_rig import EPOCH, LEASE, Rig, event, read
from integration_servers import cutting, eventually
from structlog.testing import capture_logs

from numbergroup.brokers.port import BrokerUnavailable, StaleEpoch
from numbergroup.brokers.redis.kombu_lists import LISTS
from numbergroup.engine.commands import Command
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Refusal

STREAM = "numbergroup:{0}:commands"
MANY = 3_000


async def test_what_stock_kombu_publishes(rig: Rig) -> None:
    """Bodies are as they were written, and properties come with them."""
    as_dict = orjson.loads(event("c-1"))
    publish(rig.url, as_dict, event("c-2"), event("c-3").decode())
    publish(rig.url, event("c-4"), reply_to="numbergroup.replies.crm", correlation_id="77")
    publish(rig.url, event("c-5"), content_type="application/cloudevents+json; charset=UTF-8")
    log = await rig.own()
    await feed_all(rig, log)
    entries = await read(log, 5)
    assert orjson.loads(entries[0].body) == as_dict
    assert [entry.body for entry in entries[1:]] == [event(f"c-{n}") for n in (2, 3, 4, 5)]
    assert all(entry.from_list and entry.problem is None for entry in entries)
    assert [(entry.reply_to, entry.correlation_id) for entry in entries if entry.reply_to] == [
        ("numbergroup.replies.crm", "77")
    ]
    for entry in entries:
        assert isinstance(Intake().read(entry)[0], Command)


async def test_priorities(rig: Rig) -> None:
    """The lists are served as kombu serves them: 0 first, then 3, 6 and 9, whatever came when."""
    for priority in (9, 0, 5, 8, 3, 1):
        publish(rig.url, *(b'"%d-%d"' % (priority, n) for n in range(2)), priority=priority)
    log = await rig.own()
    await feed_all(rig, log)
    order = (0, 1, 5, 3, 8, 9)
    assert await moved(rig) == [b'"%d-%d"' % (priority, n) for priority in order for n in range(2)]


async def test_a_key_that_is_no_list(rig: Rig) -> None:
    """It is named once, and keeps nothing of the other priorities from being moved."""
    await rig.client.xadd(LISTS[0], {"event": "{}"})
    log = await rig.own()
    with capture_logs() as logs:
        for number in range(2):
            await push(rig, envelope(f'"{number}"'), which=2)
            await log.import_messages()
    assert await moved(rig) == [b'"0"', b'"1"']
    assert [line["key"] for line in logs] == [LISTS[0]]
    assert await rig.client.xlen(LISTS[0]) == 1
    await rig.client.delete(LISTS[0])
    await push(rig, envelope('"2"'))
    await log.import_messages()
    assert await moved(rig) == [b'"0"', b'"1"', b'"2"']


async def test_nothing_on_the_lists(rig: Rig) -> None:
    """It waits a little then, and changes nothing."""
    log = await rig.own()
    before = await rig.everything()
    await log.import_messages()
    assert await rig.everything() == before


async def test_other_partitions_have_no_lists(rig: Rig) -> None:
    """Their owners leave them to the owner of partition 0, for as long as it takes."""
    await push(rig, envelope())
    feeding = asyncio.ensure_future(rig.broker.open_log(1, 1).import_messages())
    await rig.client.ping()
    assert not feeding.done()
    feeding.cancel()
    assert await rig.client.llen(LISTS[0]) == 1


async def test_a_backlog_is_moved_by_and_by(rig: Rig) -> None:
    """No more than a few hundred messages, or one that makes it too many bytes, are in hand at once."""
    log = await rig.own()
    await push(rig, *[envelope()] * 1_200)
    await log.import_messages()
    assert await rig.client.llen(LISTS[0]) == 700
    await rig.client.delete(LISTS[0])
    await push(rig, *[envelope("x" * 100_000)] * 10)
    await log.import_messages()
    assert await rig.client.llen(LISTS[0]) == 7


async def test_movers_that_are_stopped_at_any_moment(rig: Rig) -> None:
    """Replaced, cancelled at whatever turn, racing each other and the producers: 3,000 messages arrive, each
    once, in their order."""
    chance = random.Random(1)
    bodies = [b'{"n":%d}' % n for n in range(MANY)]
    published = 0
    log = await rig.own()
    while published < MANY or await rig.client.exists(*LISTS):
        some = bodies[published : published + chance.randrange(400)]
        if some:
            await push(rig, *(envelope(body.decode()) for body in some))
            published += len(some)
        old, racing = log, [log.import_messages() for _ in range(chance.randrange(3))]
        if chance.random() < 0.5:
            log = await rig.own()
            racing += [old.import_messages(), log.import_messages()]
        tasks = [asyncio.ensure_future(one) for one in racing]
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
        for task in tasks:
            if chance.random() < 0.5:
                task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(end is None or isinstance(end, StaleEpoch | asyncio.CancelledError) for end in ends)
    assert await moved(rig) == bodies


async def test_lost_answers(rig: Rig) -> None:
    """When the answer to a move gets lost, it is not made twice."""
    log = await rig.own()
    await push(rig, envelope())
    await feed_all(rig, log)
    bodies = [b'{"n":%d}' % n for n in range(100)]
    for times in (1, 2):
        await push(rig, *(envelope(body.decode()) for body in bodies))
        async with cutting(rig.url, b"numbergroup:{0}:epoch", times) as url, Rig(url) as far:
            log = far.broker.open_log(0, rig.epoch)
            if times == 2:
                with pytest.raises(BrokerUnavailable):
                    await log.import_messages()
            await feed_all(far, log)
    assert await moved(rig) == [b"{}", *bodies, *bodies]


async def test_another_consumer(rig: Rig) -> None:
    """Somebody takes messages away between the look and the move: what he has is not moved, the rest is."""
    bodies = [b'{"n":%d}' % n for n in range(600)]
    await push(rig, *(envelope(body.decode()) for body in bodies))
    log = await rig.own()
    taken: list[bytes] = []

    async def take() -> None:
        while raw := await rig.client.rpop(LISTS[0]):
            taken.append(orjson.loads(raw)["body"].encode())

    await asyncio.gather(take(), feed_all(rig, log))
    rest = await moved(rig)
    assert sorted(taken + rest) == sorted(bodies)
    assert rest == [body for body in bodies if body in set(rest)]


async def test_a_stale_epoch_moves_nothing(rig: Rig) -> None:
    """Who was replaced as owner, or never was one, leaves the lists alone."""
    await push(rig, envelope())
    log = await rig.own()
    await rig.own("another")
    before = await rig.everything()
    with pytest.raises(StaleEpoch):
        await log.import_messages()
    assert await rig.everything() == before
    await rig.client.delete(EPOCH)
    with pytest.raises(StaleEpoch):
        await log.import_messages()


@pytest.mark.parametrize("name", [STREAM, "numbergroup:{1}:commands"])
async def test_a_stream_that_is_something_else(rig: Rig, name: str) -> None:
    """Nothing is moved until it is put right."""
    await rig.own()
    log = rig.broker_for(2).open_log(0, rig.epoch)
    await push(rig, envelope(event("c-0").decode()), which=3)
    await rig.client.set(name, "not ours")
    before = await rig.everything()
    with pytest.raises(BrokerUnavailable, match="WRONGTYPE"):
        await log.import_messages()
    assert await rig.everything() == before
    await rig.client.delete(name)
    await feed_all(rig, log)
    assert await moved(rig) + await moved(rig, 1) == [event("c-0")]


async def test_each_partition_has_its_own(rig: Rig) -> None:
    """Events go where their group belongs, creates without a key and what is bad to the first; arrays are
    split in order, with the bytes of their events."""
    create = event("new").replace(b"update", b"create").replace(b'"groupId":"g-1","operateType":"add",', b"")
    # crc32(b"a") % 3 and so on, as any other program has it.
    places = {"a": 0, "g": 1, "c": 0, "b": 2, "d": 0, "f": 2}
    lone = [event(f"c-{name}", name) for name in places]
    several = [event(f"a-{name}", name).replace(b",", b" , ") for name in places]
    whole = b"[" + b" ,".join(several[:1] * 2) + b"]"
    array = b" [ " + b" ,\n".join([*several, b'{"bad" : 1}']) + b"]"
    await push(rig, *(envelope(body.decode()) for body in [create, *lone, array, whole]), b"bad")
    await push(rig, envelope(lone[1].decode(), content_type="text/plain"))
    await rig.own()
    await feed_all(rig, rig.broker_for(3).open_log(0, rig.epoch))
    for partition in range(3):
        mine = [n for n, place in enumerate(places.values()) if place == partition]
        first = partition == 0
        share = [several[n] for n in mine] + [b'{"bad" : 1}'] * first
        wanted = [create] * first + [lone[n] for n in mine] + [b"[" + b",".join(share) + b"]"]
        assert await moved(rig, partition) == wanted + [whole, b"bad", lone[1]] * first


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"\xff\x00", b"\xff\x00"),
        (event("c-1"), event("c-1")),
        (orjson.dumps(envelope(event("c-1").decode(), properties={"delivery_info": {}})), event("c-1")),
        (orjson.dumps(envelope(event("c-1").decode(), content_type="text/plain")), event("c-1")),
    ],
    ids=["binary", "no-envelope", "nowhere", "text"],
)
async def test_what_is_refused_does_not_stay(rig: Rig, raw: bytes, kept: bytes) -> None:
    """It is moved like anything else, with the reason why, for intake to refuse and to answer."""
    await push(rig, raw, envelope(event("c-2").decode()))
    log = await rig.own()
    await feed_all(rig, log)
    bad, good = await read(log, 2)
    (refusal,) = Intake().read(bad)
    assert isinstance(refusal, Refusal)
    assert (refusal.message, refusal.body) == (bad.problem, kept)
    assert (refusal.key is not None) == (b"c-1" in raw)
    assert bad.from_list
    assert good.problem is None


@pytest.mark.parametrize(
    "note",
    [
        *(b"", b"\xff", b"1", b"[]", b"[" * 5_000, b'{"settled":[0]}'),
        b'{"problem":7,"reply_to":[],"correlation_id":null}',
    ],
    ids=range(7),
)
async def test_a_field_of_the_same_name(rig: Rig, note: bytes) -> None:
    """A producer of the stream may use that name for something of its own: its command is as good."""
    await rig.client.xadd(STREAM, {"event": event("c-1"), "kombu": note})
    await rig.client.xadd(STREAM, {"kombu": b'{"problem":"no event"}'})
    one, other = await read(await rig.own(), 2)
    assert isinstance(Intake().read(one)[0], Command)
    assert (one.reply_to, one.correlation_id, one.problem, one.settled) == (None, None, None, set())
    assert not other.from_list
    assert "no field event" in (other.problem or "")


@pytest.mark.redis_server
async def test_memory_that_is_full(open_redis: Any) -> None:
    """What waits on the lists is moved even then: settling it is what makes room."""
    async with Rig(open_redis().url) as rig:
        log = await rig.own()
        await push(rig, *[envelope(event("c-1").decode())] * 600)
        used = await rig.client.memory_usage(LISTS[0])
        await rig.client.config_set("maxmemory", 1)
        await feed_all(rig, log)
        assert await rig.client.memory_usage(STREAM, samples=0) < used
        await log.settle(Settlement(0, done=await rig.left()), 1)
        await rig.client.config_set("maxmemory", 0)
        assert await rig.left() == []


@pytest.mark.redis_server
async def test_a_stream_that_takes_nothing_more(open_redis: Any) -> None:
    """Of a message for two streams neither part is written when one of them is at its last id."""
    async with Rig(open_redis().url) as rig:
        await rig.own()
        log = rig.broker_for(2).open_log(0, rig.epoch)
        places = [event("a", "g-0"), event("b", "g-4"), event("c", "g-3")]
        await push(rig, *(envelope(body.decode()) for body in places))
        last = f"{2**64 - 1}-{2**64 - 1}"
        await rig.client.xadd("numbergroup:{1}:commands", {"event": "x"}, id=last)
        await rig.client.xdel("numbergroup:{1}:commands", last)
        with pytest.raises(BrokerUnavailable):
            await log.import_messages()
        assert await moved(rig) == await moved(rig, 1) == []
        assert await rig.client.llen(LISTS[0]) == 3
        await rig.client.delete("numbergroup:{1}:commands")
        await feed_all(rig, log)
        assert sorted(await moved(rig) + await moved(rig, 1)) == places


@pytest.mark.redis_server
async def test_the_server_is_killed(open_redis: Any) -> None:
    """Killed in the middle of the moving, again and again, it has each message once, on either side."""
    server = open_redis(durable=True)
    bodies = [b'{"n":%d}' % n for n in range(MANY)]
    async with Rig(server.url) as rig:
        log = await rig.own()
        await push(rig, *(envelope(body.decode()) for body in bodies))
        for _ in range(5):
            feeding = asyncio.ensure_future(log.import_messages())

            async def begun() -> bool:
                return bool(await rig.client.exists(LEASE))

            await eventually(begun, "the server answers")
            server.kill()
            await asyncio.wait([feeding])
            assert isinstance(feeding.exception(), BrokerUnavailable | None)
            server.start()
        await feed_all(rig, log)
        assert await moved(rig) == bodies
