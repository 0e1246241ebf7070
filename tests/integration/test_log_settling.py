"""Settling: every adapter keeps these promises of `numbergroup.brokers.port.Log.settle`."""

from typing import Any

import orjson
import pytest
from integration_rig import (
    CREATES,
    DEDUP_MS,
    EPOCH,
    FAILED,
    GROUP_KEYS,
    ID_REF,
    KEY_REF,
    LETTERS,
    OTHER_REF,
    PARTIAL,
    UNIT,
    Rig,
    command,
    full_unit,
    intent,
    key,
    record,
)
from integration_servers import SlowWay, cutting
from structlog.testing import capture_logs

from numbergroup.brokers.port import BrokerUnavailable, StaleEpoch
from numbergroup.brokers.redis.permissions import PATTERNS
from numbergroup.engine.commands import CommandKind, SequenceKey
from numbergroup.engine.settling.fitting import REPLY_QUEUE
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.ledger import keys
from numbergroup_contracts import names

NAMED = "numbergroup:replies:crm"


@pytest.fixture
async def unit(rig: Rig) -> Settlement:
    """Something in every section, for messages and entries of the ledger that are there."""
    first, second, third = await rig.publish(b"1", b"2", b"[3,4,5]")
    await rig.client.hset(PARTIAL, second, "[0]")
    await rig.client.hset(GROUP_KEYS, keys.group_field(OTHER_REF), "g-2")
    await rig.intend(KEY_REF, intent())
    return full_unit([first, second], third)


async def test_everything_in_one_unit(rig: Rig, unit: Settlement) -> None:
    """Replies, records, letters, deletions, partial messages, bindings and intents: all are written."""
    log = await rig.own()
    await log.settle(unit, 1)
    assert await rig.replies() == [b'{"r":1}', b'{"r":3}']
    assert await rig.replies("numbergroup:replies:crm") == [b'{"r":2}']
    ((_, letter),) = await rig.client.xrange(LETTERS)
    del letter[b"order"]
    assert letter == {b"id": b"0-1-1-0", b"letter": b'{"id":"0-1-1-0"}', b"body": b"raw\xff"}
    tag = unit.partial[0][0]
    assert await rig.left() == [tag]
    assert await rig.client.hgetall(PARTIAL) == {tag.encode(): b"[0,2]"}
    create = command("new", KEY_REF, CommandKind.CREATE)
    facts = await rig.ledger.lookup([command("a"), command("b"), create, command("c", OTHER_REF)])
    assert facts.settled == {key("a"): record(), key("b"): FAILED}
    assert facts.bindings == {KEY_REF: "g-1"}
    assert facts.intents == {}


async def test_records_end(rig: Rig, unit: Settlement) -> None:
    """A record lives as long as repeats are recognised, and no longer."""
    await (await rig.own()).settle(unit, 1)
    for name in ("a", "b"):
        left_ms = await rig.client.pttl(keys.settled(key(name).digest()))
        assert DEDUP_MS - 60_000 < left_ms <= DEDUP_MS


async def test_settling_twice(rig: Rig, unit: Settlement) -> None:
    """The same unit under the same serial is written once, however often it is called."""
    log = await rig.own()
    await log.settle(unit, 7)
    before = await rig.everything()
    await log.settle(unit, 7)
    assert await rig.everything() == before
    await log.settle(Settlement(0, replies=[Reply(None, b"next")]), 8)
    assert (await rig.replies())[-1] == b"next"


async def test_a_unit_that_comes_late(rig: Rig, unit: Settlement) -> None:
    """It was given up on its way, and sent again. When it arrives after all, it changes nothing: not the
    answers, the letters and the deletions, and nothing that was written since."""
    later = Settlement(
        0,
        bindings={KEY_REF: None, OTHER_REF: "g-3"},
        sequences={SequenceKey("test", ID_REF): 13},
    )
    async with SlowWay(rig.url, b"EVALSHA") as way, Rig(way.url) as far:
        log = await far.own()
        await log.settle(Settlement(0), 1)
        way.losing = True
        await log.settle(unit, 2)
        await log.settle(later, 3)
        await far.intend(KEY_REF, intent())
        before = await rig.everything()
        await way.deliver()
    assert await rig.everything() == before


async def test_serials_are_numbers(rig: Rig) -> None:
    """The tenth unit comes after the ninth, and so it goes on, however many there are."""
    log = await rig.own()
    serials = 9, 10, 99_999, 100_000, 2_000_000_000_000
    for serial in serials:
        await log.settle(Settlement(0, replies=[Reply(None, b"%d" % serial)]), serial)
    assert await rig.replies() == [b"%d" % serial for serial in serials]


async def test_who_shares_an_epoch_hears_of_it(rig: Rig, unit: Settlement) -> None:
    """The epochs were set back while somebody works: of two that have the same, one is told that its is over.
    Nothing counts as written that is not."""
    former = await rig.own()
    await rig.client.decr(EPOCH)
    async with Rig(rig.url) as successor:
        latter = await successor.own("another")
        for serial in range(1, 4):
            await former.settle(Settlement(0, replies=[Reply(None, b"former")]), serial)
        with pytest.raises(StaleEpoch):
            await latter.settle(unit, 1)
        assert unit.done[0] in await rig.left()


async def test_a_lost_answer(rig: Rig, unit: Settlement) -> None:
    """When the answer to a settlement gets lost, the repetition changes nothing."""
    log = await rig.own()
    await log.settle(Settlement(0), 1)
    async with cutting(rig.url, b"EVALSHA") as url, Rig(url) as far:
        await far.broker.open_log(0, rig.epoch).settle(unit, 2)
    assert await rig.replies() == [b'{"r":1}', b'{"r":3}']
    assert await rig.client.xlen(LETTERS) == 1


async def test_a_successor_has_serials_of_its_own(rig: Rig) -> None:
    """The same serial under another epoch is another unit."""
    for owner in ("me", "another"):
        await (await rig.own(owner)).settle(Settlement(0, replies=[Reply(None, owner.encode())]), 1)
    assert await rig.replies() == [b"me", b"another"]


async def test_a_stale_epoch_changes_nothing(rig: Rig, unit: Settlement) -> None:
    """Who was replaced as owner can write nothing at all."""
    log = await rig.own()
    await rig.own("another")
    before = await rig.everything()
    with pytest.raises(StaleEpoch):
        await log.settle(unit, 1)
    assert await rig.everything() == before


async def test_a_ledger_that_lost_its_memory(rig: Rig, unit: Settlement) -> None:
    """Without any epoch nobody owns the partition: nothing is written."""
    log = await rig.own()
    await rig.client.delete(EPOCH)
    before = await rig.everything()
    with pytest.raises(StaleEpoch):
        await log.settle(unit, 1)
    assert await rig.everything() == before


async def test_a_reply_queue_that_is_no_stream(rig: Rig, unit: Settlement) -> None:
    """Replies to a key of another type go to the default queue with an error, in order; the key stays."""
    await rig.client.rpush(NAMED, "old")
    unit.replies[:] = [Reply(None, result(1)), Reply(NAMED, result(2)), Reply(None, result(3))]
    log = await rig.own()
    for serial in (1, 1, 2):
        await log.settle(unit, serial)
    ids = ["r-1", "r-2", "r-3"]
    assert [orjson.loads(body)["id"] for body in await rig.replies()] == ids * 2
    assert [error_of(body) for body in await rig.replies()][:3] == [None, REPLY_QUEUE, None]
    assert await rig.client.lrange(NAMED, 0, -1) == [b"old"]


@pytest.mark.redis_server
@pytest.mark.parametrize("permitted", [(), ("%R~other:*",)])
async def test_a_reply_queue_that_the_acl_forbids(redis_url: str, permitted: tuple[str, ...]) -> None:
    """That is the concern of its replies: they go to the default queues with an error, and all else of their
    unit is written, once. Nothing is written before that is known."""
    async with Rig(redis_url) as admin:
        await admin.client.flushall()
        user = ("reset", "on", ">w", *(f"~{one}" for one in PATTERNS), *permitted, "+@all")
        await admin.client.execute_command("ACL", "SETUSER", "w", *user)
        async with Rig(redis_url.replace("//", "//w:w@")) as rig:
            tags = await rig.publish(b"1", b"2")
            replies = [
                *(Reply(None, result(1)), Reply("other:a", result(2)), Reply("other:a", result(3))),
                *(Reply("other:b", result(4), from_list=True), Reply(NAMED, result(5))),
            ]
            log = await rig.own()
            with capture_logs() as logs:
                await log.settle(Settlement(0, replies=replies, done=tags[:1]), 1)
                await log.settle(Settlement(0, replies=replies[1:2], done=tags[1:]), 2)
            found = [(orjson.loads(body)["id"], error_of(body)) for body in await rig.replies()]
            late = [("r-2", REPLY_QUEUE), ("r-3", REPLY_QUEUE)]
            assert found == [("r-1", None), *late, late[0]]
            assert await rig.client.llen(names.REPLIES) == 1
            assert await rig.replies(NAMED) == [result(5)]
            assert await rig.left() == []
        assert [line["queue"] for line in logs] == ["other:a", "other:b"]
        assert not await admin.client.exists("other:a", "other:b")
        await admin.client.execute_command("ACL", "DELUSER", "w")


async def test_a_reply_stream_that_is_full(rig: Rig, unit: Settlement) -> None:
    """Results go to the default stream when the named one has reached its last possible id."""
    await rig.client.xadd(NAMED, {"event": "last"}, id=f"{2**64 - 1}-{2**64 - 1}")
    await (await rig.own()).settle(unit, 1)
    assert await rig.replies() == [b'{"r":1}', b'{"r":2}', b'{"r":3}']
    assert await rig.replies(NAMED) == [b"last"]


def result(number: int) -> bytes:
    return orjson.dumps({"id": f"r-{number}", "data": {"status": "applied"}})


def error_of(body: bytes) -> str | None:
    error = orjson.loads(body)["data"].get("error")
    return None if error is None else str(error["kind"])


@pytest.mark.parametrize(
    "name", [keys.REPLIES, LETTERS, PARTIAL, GROUP_KEYS, CREATES, UNIT, keys.commands(0)]
)
async def test_a_key_that_is_something_else(rig: Rig, unit: Settlement, name: str) -> None:
    """A key of ours that somebody else has taken: nothing is written, until it is put right."""
    log = await rig.own()
    await rig.client.rename(name, "aside") if await rig.client.exists(name) else None
    await rig.client.rpush(name, "not ours")
    before = await rig.everything()
    with pytest.raises(BrokerUnavailable, match="WRONGTYPE"):
        await log.settle(unit, 1)
    assert await rig.everything() == before
    await rig.client.delete(name)
    await log.settle(unit, 1)
    assert len(await rig.replies()) == 2


async def test_an_empty_unit(rig: Rig) -> None:
    """Nothing to write is written without complaint."""
    await (await rig.own()).settle(Settlement(0), 1)
    assert await rig.replies() == []


async def test_a_large_unit(rig: Rig) -> None:
    """A thousand answers are one unit too."""
    published = await rig.publish(*[b"x"] * 1000)
    answers = [Reply(None, b"%d" % n) for n in range(1000)]
    records: Any = [(command(f"{n}"), record()) for n in range(1000)]
    log = await rig.own()
    await log.settle(Settlement(0, replies=answers, records=records, done=published), 1)
    assert await rig.replies() == [answer.body for answer in answers]
    assert await rig.left() == []
    facts = await rig.ledger.lookup([command(f"{n}") for n in range(1000)])
    assert len(facts.settled) == 1000
