"""Replayed messages, on every broker: they are read and settled with the log's own messages."""

import asyncio

import pytest
from integration_brokers import Place, bodies, left, nothing_more, read
from integration_replays import ID_REF, REPLAYS, letter, replay
from integration_rig import command, record
from integration_servers import eventually

from numbergroup.brokers.port import StaleEpoch
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.ledger import keys

ERROR = {"kind": "refused", "code": "1002", "message": "parameter error"}
HISTORY = [{"time": "2026-11-21T09:30:01.483Z", "error": ERROR}]
VIA = {"listed": True, "replyTo": "replies.crm", "correlationId": "x-1", "traceparent": "00-1"}


async def test_replays_are_read_with_the_messages(place: Place) -> None:
    """They have their stored properties, whether they were there before the log was opened or came later."""
    early = await replay(place.client, b"early", history=HISTORY, via=VIA, attempts=3, force=True)
    await place.publish(b"1")
    log = await place.own()
    entries = {entry.body: entry for entry in await read(log, 2)}
    late = await replay(place.client, b"late", replays=2)
    (second,) = await read(log, 1)
    first = entries[b"early"]
    assert (first.tag, second.tag, second.body) == (early, late, b"late")
    assert entries[b"1"].replay is None
    assert (first.from_list, first.reply_to, first.correlation_id) == (True, "replies.crm", "x-1")
    stored = first.replay
    assert (stored.letter, stored.replays, stored.order, stored.group) == (
        "0-1-1-0",
        1,
        7,
        keys.group_field(ID_REF),
    )
    assert (stored.attempts, stored.force, stored.via.traceparent) == (3, True, "00-1")
    assert [failure.error.model_dump() for failure in stored.history] == [ERROR]
    assert second.replay.replays == 2
    await nothing_more(log)
    await log.close()


async def test_no_more_replays_than_the_credit(place: Place) -> None:
    """The credit covers both, however many replays and messages there are."""
    for number in range(10):
        await replay(place.client, b"r%d" % number)
    await place.publish(*[b"%d" % number for number in range(10)])
    log = await place.own()
    found = bodies(await read(log, 20, credit=3))
    assert [body for body in found if body.startswith(b"r")] == [b"r%d" % number for number in range(10)]
    assert [body for body in found if not body.startswith(b"r")] == [b"%d" % number for number in range(10)]
    await log.close()


async def test_a_replay_that_arrives_while_the_log_is_read(place: Place) -> None:
    """It is read at once, and so is a message that is published meanwhile."""
    log = await place.own()
    await nothing_more(log)
    reading = asyncio.create_task(read(log, 1))
    await replay(place.client, b"r")
    assert bodies(await reading) == [b"r"]
    reading = asyncio.create_task(read(log, 1))
    await place.publish(b"1")
    assert bodies(await reading) == [b"1"]
    await log.close()


async def test_settling_replays(place: Place) -> None:
    """They are deleted once, with their results; their groups have one dead letter less each."""
    await place.client.hset(keys.DEAD_LETTER_GROUPS, keys.group_field(ID_REF), 2)
    await place.client.hset(keys.since(keys.group_field(ID_REF)), "85211111114", "+9")
    for body in (b"a", b"b", b"c"):
        await replay(place.client, body)
    log = await place.own()
    first, second, third = await read(log, 3)
    unit = Settlement(0, replies=[Reply(None, b'{"r":1}')], records=[(command("a"), record())])
    unit.replayed.append((first.tag, first.replay.group))
    for _ in range(3):
        await log.settle(unit, 1)
    assert await place.replies() == [b'{"r":1}']
    assert await place.client.xlen(REPLAYS) == 2
    assert await place.client.hgetall(keys.DEAD_LETTER_GROUPS) == {keys.group_field(ID_REF).encode(): b"1"}
    assert await place.client.exists(keys.since(keys.group_field(ID_REF)))
    last = [(second.tag, second.replay.group), (third.tag, None)]
    await log.settle(Settlement(0, replayed=last), 2)
    assert await place.client.xlen(REPLAYS) == 0
    assert not await place.client.exists(keys.DEAD_LETTER_GROUPS, keys.since(keys.group_field(ID_REF)))
    await log.close()


async def test_the_next_owner_replays_what_is_unsettled(place: Place) -> None:
    """Unsettled replays are read again, with the indexes of their settled events; settled ones are not."""
    for body in (b"a", b"[b,c]"):
        await replay(place.client, body)
    log = await place.own()
    first, second = await read(log, 2)
    unit = Settlement(0, replies=[Reply(None, b"[]")], partial=[(second.tag, [1])])
    unit.replayed.append((first.tag, None))
    await log.settle(unit, 1)
    await log.close()
    log = await place.own("another")
    await place.publish(b"1", b"2")
    entries = await read(log, 3)
    # Settling the broker's own messages must not remove the replays' indexes.
    await log.settle(Settlement(0, done=[entry.tag for entry in entries if entry.replay is None]), 1)
    (again,) = [entry for entry in entries if entry.replay is not None]
    assert (again.tag, again.body, again.settled) == (second.tag, b"[b,c]", {1})
    await log.close()
    log = await place.own("a third")
    (again,) = await read(log, 1)
    assert again.settled == {1}
    await log.settle(Settlement(0, replayed=[(again.tag, None)]), 1)
    assert not await place.client.exists(keys.of_partition(0, "partial"))
    await log.close()
    await left(place, 0)


async def test_a_former_owner_settles_no_replay(place: Place) -> None:
    """The replay stays for the next owner."""
    await replay(place.client, b"a")
    old = await place.own("old")
    (entry,) = await read(old, 1)
    await place.own("new")
    with pytest.raises(StaleEpoch):
        await old.settle(Settlement(0, replayed=[(entry.tag, None)], dead_letters=[letter("l")]), 1)
    assert await place.client.xlen(REPLAYS) == 1
    await old.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"event": b"body"},
        {"event": b"body", "replay": b"{"},
        {"event": b"body", "replay": b'{"letter":"l","replays":0,"order":1}'},
        {"replay": b'{"letter":"l","replays":1,"order":1}'},
        {"x": b"\xff"},
    ],
)
async def test_a_replay_that_cannot_be_read(place: Place, fields: dict[str, bytes]) -> None:
    """It is read with all its bytes, to be refused; others are not blocked."""
    await place.client.xadd(REPLAYS, fields)
    await replay(place.client, b"next")
    log = await place.own()
    junk, sound = await read(log, 2)
    assert junk.problem is not None
    assert junk.replay is not None
    assert b"body" in junk.body or b"replay" in junk.body or b"x" in junk.body
    assert (sound.body, sound.problem) == (b"next", None)
    await log.close()


async def test_a_replay_stream_of_another_type(place: Place) -> None:
    """Nothing can be replayed then; commands are read and settled as usual."""
    await place.client.set(REPLAYS, "not ours")
    await place.publish(b"1", b"2")
    log = await place.own()
    entries = await read(log, 2)
    unit = Settlement(0, dead_letters=[letter("l")], done=[entry.tag for entry in entries])
    await log.settle(unit, 1)
    assert await place.client.get(REPLAYS) == b"not ours"
    await log.close()
    await left(place, 0)


async def test_replays_count_as_backlog(place: Place) -> None:
    """While they wait, the number of partitions must not change: they would not be read any more."""
    await replay(place.client, b"a")
    await place.publish(b"1")

    async def are_counted() -> bool:
        return dict(await place.broker.count_waiting(1)) == {0: 2}

    await eventually(are_counted, "two messages wait")
