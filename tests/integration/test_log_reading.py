"""Reading the log: every adapter keeps these promises of `numbergroup.brokers.port.Log`."""

import asyncio

import orjson
import pytest
from deadlines import deadline
from integration_rig import Rig, event, read, tags

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis import broker
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.engine.verdicts import Refusal
from numbergroup.ledger import keys

LONGER_THAN_ANY_TEST_MS = 600_000


async def test_in_order_from_the_start(rig: Rig) -> None:
    """A log begins with the oldest message, and goes on in the order of their publishing."""
    bodies = [b"%d" % n for n in range(40)]
    published = await rig.publish(*bodies)
    log = await rig.own()
    entries = await read(log, 40)
    assert tags(entries) == published
    assert [entry.body for entry in entries] == bodies
    assert all(entry.partition == 0 and entry.settled == set() for entry in entries)


async def test_the_cursor(rig: Rig) -> None:
    """Nothing is read twice, settled or not, and what comes later is read later."""
    log = await rig.own()
    first = await rig.publish(b"1", b"2")
    assert tags(await read(log, 2)) == first
    second = await rig.publish(b"3")
    assert tags(await read(log, 1)) == second


async def test_nothing_to_read(rig: Rig) -> None:
    """Without messages a read ends after a little while, with nothing."""
    assert await (await rig.own()).read(10) == []


async def test_a_read_ends_when_a_message_comes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for messages has the next one at once."""
    monkeypatch.setattr(broker, "_BLOCK_MS", LONGER_THAN_ANY_TEST_MS)
    log = await rig.own()
    reading = asyncio.create_task(log.read(10))
    await asyncio.sleep(0)
    published = await rig.publish(b"1")
    async with deadline(0.9):
        assert tags(await reading) == published


async def test_reads_grow(rig: Rig) -> None:
    """A backlog is read in growing steps, from a few messages to a thousand at most."""
    await rig.publish(*[b"x"] * 2100)
    log = await rig.own()
    steps = [len(await log.read(100_000)) for _ in range(8)]
    assert steps == [16, 32, 64, 128, 256, 512, 1000, 92]


async def test_falling_behind(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that was full says so: there may be more. The next one tells, and does not wait for it."""
    monkeypatch.setattr(broker, "_BLOCK_MS", LONGER_THAN_ANY_TEST_MS)
    await rig.publish(*[b"x"] * 20)
    log = await rig.own()
    assert not log.may_have_more
    seen = []
    for _ in range(2):
        await log.read(1000)
        seen.append(log.may_have_more)
    assert seen == [True, False]
    await rig.publish(b"x")
    await log.read(1)
    assert log.may_have_more
    async with deadline(0.9):
        assert await log.read(1) == []
    assert not log.may_have_more


async def test_no_more_than_the_credit(rig: Rig) -> None:
    """A read has no more messages than commands are wanted, and at least one."""
    await rig.publish(*[b"x"] * 40)
    log = await rig.own()
    assert [len(await log.read(credit)) for credit in (5, 1, 0, 7)] == [5, 1, 1, 7]


async def test_a_read_that_failed_is_asked_for_by_halves(rig: Rig) -> None:
    """What was too much for the way to the server is not asked for again and again."""
    log = await rig.own()
    stream = "numbergroup:{0}:commands"
    await rig.client.set(stream, "no stream")
    with pytest.raises(BrokerUnavailable):
        await log.read(1000)
    await rig.client.delete(stream)
    await rig.publish(*[b"x"] * 40)
    assert [len(await log.read(1000)) for _ in range(3)] == [8, 16, 16]


async def test_large_messages_are_read_few_at_a_time(rig: Rig) -> None:
    """Once messages are seen to be large, a read takes about 4 MiB of them."""
    await rig.publish(*[b"x" * 1_000_000] * 8)
    log = await rig.own()
    await log.read(2)
    assert len(await log.read(1000)) == 4


async def test_a_new_owner_reads_what_is_unsettled(rig: Rig) -> None:
    """Whoever comes next finds exactly what was not settled, in order, read before or not."""
    published = await rig.publish(*(b"%d" % n for n in range(10)))
    log = await rig.own()
    await read(log, 6, credit=6)
    settled = [published[5], published[0], published[2]]
    await log.settle(Settlement(0, done=settled), 1)
    successor = await rig.own("another")
    left = [tag for tag in published if tag not in settled]
    assert tags(await read(successor, 7)) == left
    assert await rig.left() == left


async def test_a_message_without_the_field(rig: Rig) -> None:
    """What has no field `event` is handed on whole, for intake to refuse; reading goes on behind it."""
    fields = {b"foo": b"bar", b"\xff": b"\x00\xfe"}
    await rig.client.xadd(keys.commands(0), fields)
    await rig.publish(event("c-1"))
    strange, good = await read(await rig.own(), 2)
    assert orjson.loads(strange.body) == {"foo": "bar", "�": "\x00�"}
    (refusal,) = Intake().read(strange)
    assert isinstance(refusal, Refusal)
    assert good.body == event("c-1")


async def test_other_fields_are_ignored(rig: Rig) -> None:
    """Fields that producers add for themselves are none of our business."""
    await rig.client.xadd(keys.commands(0), {"trace": "1", "event": "body", "more": "2"})
    (entry,) = await read(await rig.own(), 1)
    assert entry.body == b"body"


async def test_partially_settled_messages(rig: Rig) -> None:
    """A new owner is told which events of a message are settled already."""
    first, second, third = await rig.publish(b"[1,2,3]", b"[4,5]", b"[6]")
    log = await rig.own()
    await read(log, 3)
    await log.settle(Settlement(0, partial=[(first, [0, 2]), (second, [1])]), 1)
    await log.settle(Settlement(0, partial=[(first, [0, 1])], done=[second]), 2)
    entries = await read(await rig.own("another"), 2)
    assert [(entry.tag, entry.settled) for entry in entries] == [(first, {0, 1}), (third, set())]
