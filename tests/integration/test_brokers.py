"""Promises of `numbergroup.brokers.port`, the same for every broker."""

import asyncio

import orjson
import pytest
from deadlines import deadline
from integration_brokers import NAMED, PREFETCH, Place, bodies, left, nothing_more, read
from integration_rig import KEY_REF, command, event, key, record

from numbergroup.brokers.port import StaleEpoch
from numbergroup.engine.settling.settlement import DeadLetterRecord, Reply, Settlement
from numbergroup.ledger import keys
from numbergroup_contracts.results import Status

MANY = [b"%d" % number for number in range(2_500)]


async def test_messages_are_read_in_order(place: Place) -> None:
    """All are read in the order of publishing, also those that were there before the log was opened."""
    await place.publish(*MANY[:500])
    log = await place.own()
    entries = await read(log, 200, credit=50)
    assert log.may_have_more
    await place.publish(*MANY[500:800])
    entries += await read(log, 600, credit=100)
    assert bodies(entries) == MANY[:800]
    assert len({entry.tag for entry in entries}) == 800
    assert {entry.partition for entry in entries} == {0}
    await nothing_more(log)
    assert not log.may_have_more
    await log.close()


async def test_more_messages_than_the_prefetch(place: Place) -> None:
    """The rest is read as messages are settled."""
    await place.publish(*MANY)
    log = await place.own()
    seen: list[bytes] = []
    serial = 0
    async with deadline(30):
        while len(seen) < len(MANY):
            entries = await log.read(PREFETCH)
            seen += bodies(entries)
            serial += 1
            await log.settle(Settlement(0, done=[entry.tag for entry in entries]), serial)
    assert seen == MANY
    await log.close()
    await left(place, 0)


async def test_the_next_owner_reads_what_is_unsettled(place: Place) -> None:
    """They are in order, without settled ones, in whatever order those were settled."""
    await place.publish(*MANY[:100])
    log = await place.own()
    entries = await read(log, 100)
    settled = [*range(10), 20, 21, 99, 50]
    await log.settle(Settlement(0, done=[entries[n].tag for n in settled[:12]]), 1)
    await log.settle(Settlement(0, done=[entries[n].tag for n in settled[12:]]), 2)
    await log.close()
    again = await place.own("another")
    seen: list[bytes] = []
    async with deadline(20):
        while MANY[98] not in seen:
            seen += bodies(await again.read(PREFETCH))
    # Settled messages behind an unsettled one may come again; no unsettled one is missing.
    assert [body for body in seen if int(body) not in settled] == [
        body for body in MANY[:100] if int(body) not in settled
    ]
    assert seen == sorted(seen, key=int)
    await again.close()


async def test_reply_queues(place: Place) -> None:
    """A reply goes to the queue that it names, or to the default one."""
    await place.publish(b"1")
    log = await place.own()
    (entry,) = await read(log, 1)
    replies = [Reply(None, b'{"r":1}'), Reply(NAMED, b'{"r":2}'), Reply(None, b'{"r":3}')]
    await log.settle(Settlement(0, replies=replies, done=[entry.tag]), 1)
    assert await place.replies() == [b'{"r":1}', b'{"r":3}']
    assert await place.replies(NAMED) == [b'{"r":2}']
    await log.close()
    await left(place, 0)


async def test_a_unit_is_written_once(place: Place) -> None:
    """It is, however often it is settled: the first answer may have been lost."""
    await place.publish(b"1", b"2")
    log = await place.own()
    entries = await read(log, 2)
    unit = Settlement(0, replies=[Reply(None, b"{}")], done=[entries[0].tag], dead_letters=[LETTER])
    for _ in range(3):
        await log.settle(unit, 1)
    assert len(await place.replies()) == 1
    assert len(await place.client.xrange(keys.of_partition(0, "dead-letters"))) == 1
    await log.settle(Settlement(0, replies=[Reply(None, b"{}")], done=[entries[1].tag]), 2)
    assert len(await place.replies()) == 2
    await log.close()
    await left(place, 0)


LETTER = DeadLetterRecord("0-1-0", b'{"id":"0-1-0"}', b"raw\xff")


async def test_ledger_writes(place: Place) -> None:
    """A unit's records, bindings and dead letters are in the ledger when it is settled."""
    await place.publish(b"1")
    log = await place.own()
    (entry,) = await read(log, 1)
    unit = Settlement(0, records=[(command("a"), record())], bindings={KEY_REF: "g-1"}, dead_letters=[LETTER])
    unit.done.append(entry.tag)
    await log.settle(unit, 1)
    facts = await place.ledger.lookup([command("a", KEY_REF), command("b")])
    assert facts.settled[key("a")].status is Status.APPLIED
    assert (list(facts.settled), facts.bindings) == ([key("a")], {KEY_REF: "g-1"})
    ((_, letter),) = await place.client.xrange(keys.of_partition(0, "dead-letters"))
    assert (letter[b"id"], letter[b"body"]) == (b"0-1-0", b"raw\xff")
    await log.close()


async def test_a_former_owner_settles_nothing(place: Place) -> None:
    """It writes no result and no record, and acknowledges nothing: the next owner finds all messages."""
    await place.publish(*MANY[:10])
    old = await place.own("old")
    entries = await read(old, 10)
    await place.own("new")
    unit = Settlement(
        0, replies=[Reply(None, b"{}")], records=[(command("a"), record())], dead_letters=[LETTER]
    )
    unit.done += [entry.tag for entry in entries]
    with pytest.raises(StaleEpoch):
        await old.settle(unit, 1)
    assert await place.replies() == []
    assert (await place.ledger.lookup([command("a")])).settled == {}
    await old.close()
    await left(place, 10)
    newer = await place.own("newer")
    assert bodies(await read(newer, 10)) == MANY[:10]
    await newer.close()


async def test_a_partly_settled_array(place: Place) -> None:
    """The next owner gets the indexes of its settled events, until the message is acknowledged."""
    array = b"[" + b",".join(event(f"c-{n}") for n in range(3)) + b"]"
    await place.publish(array, b"2")
    log = await place.own()
    first, second = await read(log, 2)
    assert (first.settled, second.settled) == (set(), set())
    await log.settle(Settlement(0, replies=[Reply(None, b"[]")], partial=[(first.tag, [0, 2])]), 1)
    await log.close()
    log = await place.own("another")
    first, second = await read(log, 2)
    assert (first.body, first.settled, second.settled) == (array, {0, 2}, set())
    await log.settle(Settlement(0, done=[first.tag, second.tag]), 1)
    await log.close()
    await left(place, 0)
    assert not await place.client.exists(keys.of_partition(0, "partial"))
    # Equal bytes, published again, are another message.
    await place.publish(array)
    log = await place.own("a third")
    assert [entry.settled for entry in await read(log, 1)] == [set()]
    await log.close()


async def test_equal_messages(place: Place) -> None:
    """Each is settled for itself."""
    await place.publish(*[b"same"] * 5)
    log = await place.own()
    entries = await read(log, 5)
    assert len({entry.tag for entry in entries}) == 5
    await log.settle(Settlement(0, done=[entries[0].tag, entries[1].tag]), 1)
    await log.close()
    await left(place, 3)


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"\xff\xfe{", b"[" * 100_000, b"x" * 3_000_000, orjson.dumps("text")], ids=len
)
async def test_any_bytes(place: Place, body: bytes) -> None:
    """A message is read as it was published."""
    await place.publish(body, b"next")
    log = await place.own()
    assert bodies(await read(log, 2)) == [body, b"next"]
    await log.close()


async def test_waiting_for_messages(place: Place) -> None:
    """A message that is published during a read ends it at once."""
    log = await place.own()
    await nothing_more(log)
    reading = asyncio.create_task(read(log, 1))
    await place.publish(b"1")
    assert bodies(await reading) == [b"1"]
    await log.close()


async def test_closing_twice(place: Place) -> None:
    """The second call does nothing."""
    await place.publish(b"1")
    log = await place.own()
    await read(log, 1)
    await log.close()
    await log.close()
    await left(place, 1)
