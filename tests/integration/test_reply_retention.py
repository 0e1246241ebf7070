"""How long, and how many, replies stay on Redis."""

import pytest
from integration_rig import DEDUP_MS, Rig

from numbergroup.brokers.port import Log
from numbergroup.brokers.redis.broker import RedisBroker
from numbergroup.brokers.redis.settling import ReplyRetention
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.ledger import keys
from numbergroup_contracts import names

HOUR_MS = 3_600_000
FEW_AT_MOST = 100
"""How much more than the limit an approximate trim may leave: a node of a stream has so many entries."""

NAMED = "numbergroup:replies:crm"
FOREIGN = "crm:results"


async def log(rig: Rig, retention: ReplyRetention) -> Log:
    await rig.own()
    return RedisBroker(rig.client, DEDUP_MS, retention=retention).open_log(0, rig.epoch)


def streamed(queue: str | None, *bodies: bytes) -> Settlement:
    return Settlement(0, replies=[Reply(queue, body) for body in bodies])


def listed(queue: str | None, *bodies: bytes) -> Settlement:
    return Settlement(0, replies=[Reply(queue, body, from_list=True) for body in bodies])


def many(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


@pytest.mark.parametrize("queue", [keys.REPLIES, NAMED])
async def test_replies_older_than_the_retention_are_deleted(rig: Rig, queue: str) -> None:
    """When a unit is settled, replies older than the retention are deleted; younger ones stay."""
    seconds, _ = await rig.client.time()
    young = seconds * 1000 - HOUR_MS // 2
    for number, at in enumerate([1_000] * 500 + [young] * 5):
        await rig.client.xadd(queue, {"event": "old"}, id=f"{at}-{number}")
    await (await log(rig, ReplyRetention(age_ms=HOUR_MS))).settle(streamed(queue, b"new"), 1)
    left = [int(tag.split(b"-")[0]) for tag, _ in await rig.client.xrange(queue)]
    assert left.count(1_000) <= FEW_AT_MOST
    assert left.count(young) == 5
    assert (await rig.replies(queue))[-1] == b"new"


@pytest.mark.parametrize("queue", [keys.REPLIES, NAMED])
async def test_no_more_replies_than_the_limit(rig: Rig, queue: str) -> None:
    """A reply stream has no more messages than the limit, and at most a node of the stream beyond it."""
    settling = await log(rig, ReplyRetention(messages=50))
    bodies = many(1_000)
    for serial in range(20):
        await settling.settle(streamed(queue, *bodies[serial * 50 : serial * 50 + 50]), serial + 1)
    left = await rig.replies(queue)
    assert 50 <= len(left) <= 50 + FEW_AT_MOST
    assert left == bodies[-len(left) :]


async def test_replies_of_the_unit_itself_stay(rig: Rig) -> None:
    """However small the limits are: a unit's replies are all there when it is settled."""
    await (await log(rig, ReplyRetention(age_ms=1, messages=1))).settle(streamed(None, *many(700)), 1)
    assert await rig.replies() == many(700)
    await (await log(rig, ReplyRetention(messages=1))).settle(listed(None, *many(700)), 1)
    assert await rig.client.llen(names.REPLIES) == 700


@pytest.mark.parametrize("queue", [names.REPLIES, "numbergroup.replies.crm"])
async def test_a_list_has_no_more_replies_than_the_limit(rig: Rig, queue: str) -> None:
    """The oldest messages of a reply list are deleted beyond the limit; the newest stay, in order."""
    settling = await log(rig, ReplyRetention(messages=10))
    for serial in range(30):
        await settling.settle(listed(queue, b"%d" % serial), serial + 1)
    assert await rig.client.llen(queue) == 10


async def test_a_list_that_grew_long_is_trimmed_part_by_part(rig: Rig) -> None:
    """A list of an earlier version, as long as it may be, does not make one settlement long: it shrinks with
    each of them until it keeps to the limit."""
    pipe = rig.client.pipeline(transaction=False)
    for _ in range(25):
        pipe.lpush(names.REPLIES, *many(1_000))
    await pipe.execute()
    settling = await log(rig, ReplyRetention(messages=100))
    lengths = []
    for serial in range(4):
        await settling.settle(listed(None, b"new"), serial + 1)
        lengths.append(await rig.client.llen(names.REPLIES))
    assert lengths == [15_001, 5_002, 100, 100]


async def test_a_list_ends_with_its_newest_message(rig: Rig) -> None:
    """A reply list is kept for as long as its newest message, and for ever when that is asked for."""
    await (await log(rig, ReplyRetention(age_ms=HOUR_MS))).settle(listed(None, b"1"), 1)
    assert HOUR_MS - 60_000 < await rig.client.pttl(names.REPLIES) <= HOUR_MS
    await (await log(rig, ReplyRetention())).settle(listed(None, b"2"), 1)
    assert await rig.client.pttl(names.REPLIES) == -1


async def test_a_stream_of_its_own_ends_with_its_newest_message(rig: Rig) -> None:
    """A reply stream that a `replyto` names is kept for as long as its newest message, and for ever when that
    is asked for: one that is not written to any more is never trimmed. The default stream stays."""
    await (await log(rig, ReplyRetention(age_ms=HOUR_MS))).settle(streamed(NAMED, b"1"), 1)
    assert HOUR_MS - 60_000 < await rig.client.pttl(NAMED) <= HOUR_MS
    await (await log(rig, ReplyRetention())).settle(streamed(NAMED, b"2"), 1)
    assert await rig.client.pttl(NAMED) == -1
    await (await log(rig, ReplyRetention(age_ms=HOUR_MS))).settle(streamed(None, b"3"), 1)
    assert await rig.client.pttl(keys.REPLIES) == -1


@pytest.mark.parametrize("name", [FOREIGN, "numbergroup:repliesX", "numbergroup:replie"])
async def test_queues_under_other_names_are_never_trimmed(rig: Rig, name: str) -> None:
    """A queue that the worker does not own may hold other programs' data: nothing of it is deleted."""
    await rig.client.xadd(name, {"event": "old"}, id="1-1")
    settling = await log(rig, ReplyRetention(age_ms=1, messages=1))
    for serial in range(3):
        await settling.settle(streamed(name, *many(200)), serial + 1)
    assert await rig.client.xlen(name) == 601
    assert await rig.client.pttl(name) == -1
    await rig.client.delete(name)
    for serial in range(3):
        await settling.settle(listed(name, *many(200)), serial + 4)
    assert await rig.client.llen(name) == 600
    assert await rig.client.pttl(name) == -1


async def test_without_limits_everything_stays(rig: Rig) -> None:
    """0 and 0 keep all replies for ever."""
    await rig.client.xadd(keys.REPLIES, {"event": "old"}, id="1-1")
    settling = await log(rig, ReplyRetention())
    for serial in range(3):
        await settling.settle(streamed(None, *many(200)), serial + 1)
    assert len(await rig.replies()) == 601


async def test_a_wrong_name_of_the_wrong_kind_is_trimmed_as_the_default_queue(rig: Rig) -> None:
    """Replies for a queue that is of another kind go to the default one, and are limited there."""
    await rig.client.set("numbergroup:replies:crm", "a text")
    settling = await log(rig, ReplyRetention(messages=50))
    for serial in range(20):
        await settling.settle(streamed(NAMED, *[b'{"data": {}}'] * 50), serial + 1)
    assert len(await rig.replies()) <= 50 + FEW_AT_MOST
    assert await rig.client.get(NAMED) == b"a text"
