"""A server whose memory is full: nothing is written by halves, and work goes on when there is room."""

from typing import Any

import pytest
from integration_rig import DEDUP_MS, KEY_REF, LEASE, TTL_S, Rig, command, full_unit, intent

from numbergroup.engine.commands import CommandKind
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger.port import LedgerUnavailable

pytestmark = pytest.mark.redis_server


async def test_memory_that_is_full(open_redis: Any) -> None:
    """Nothing is written by halves; but settling, which makes room, and the lease go on."""
    async with Rig(open_redis().url) as rig:
        log = await rig.own()
        first, second, third = await rig.publish(b"1", b"2", b"[3,4,5]")
        await log.settle(Settlement(0), 1)
        await rig.ledger.limiter("default", 1000).acquire()
        before = await rig.everything()

        await rig.client.config_set("maxmemory", 1)
        with pytest.raises(LedgerUnavailable):
            await rig.intend(KEY_REF, intent())
        with pytest.raises(LedgerUnavailable):
            await rig.ledger.limiter("default", 1000).acquire()
        assert [entry.tag for entry in await log.read(10)] == [first, second, third]
        assert await rig.everything() == before
        assert await rig.ledger.renew_lease(0, "me", rig.epoch, TTL_S)
        await log.settle(full_unit([first, second], third), 2)
        assert await rig.left() == [third]
        assert len(await rig.replies()) == 2

        await rig.client.config_set("maxmemory", 0)
        await rig.intend(KEY_REF, intent())
        facts = await rig.ledger.lookup([command("a", KEY_REF, CommandKind.CREATE), command("b")])
        assert (len(facts.settled), len(facts.intents)) == (2, 1)


async def test_an_epoch_that_begins_again(open_redis: Any) -> None:
    """When the epoch's key was lost, units of the new epoch do not pass for those of the old one."""
    async with Rig(open_redis().url) as rig:
        log = await rig.own()
        (first,) = await rig.publish(b"1")
        await log.settle(Settlement(0, done=[first]), 1)
        await rig.client.delete(LEASE, "numbergroup:{0}:epoch")
        log = await rig.own()
        (second,) = await rig.publish(b"2")
        await log.settle(Settlement(0, done=[second]), 1)
        assert await rig.left() == []


async def test_a_lease_when_memory_is_full(open_redis: Any) -> None:
    """A worker that comes when memory is full takes over, to settle what makes room."""
    async with Rig(open_redis().url) as rig:
        await rig.own()
        await rig.client.delete(LEASE)
        await rig.client.config_set("maxmemory", 1)
        assert await rig.ledger.acquire_lease(0, "another", TTL_S) == rig.epoch + 1


async def test_what_is_kept_ends(open_redis: Any) -> None:
    """Of a settled command a record is all that stays, and that has an end."""
    async with Rig(open_redis().url) as rig:
        log = await rig.own()
        first, second = await rig.publish(b"1", b"[2,3]")
        unit = full_unit([first], second)
        unit.dead_letters.clear()
        unit.replies.clear()
        await log.settle(unit, 1)
        await log.settle(Settlement(0, done=[second], bindings={KEY_REF: None}), 2)
        endless = {key async for key in rig.client.scan_iter() if await rig.client.ttl(key) < 0}
        kept = ("epoch", "unit", "commands", "crashes")
        assert endless == {f"numbergroup:{{0}}:{name}".encode() for name in kept}
        assert await rig.left() == []
        ends = [await rig.client.pttl(key) async for key in rig.client.scan_iter("*:done:*")]
        assert len(ends) == 2
        assert all(0 < end <= DEDUP_MS for end in ends)


async def test_the_register_when_memory_is_full(open_redis: Any) -> None:
    """Workers stay enrolled, and a newcomer is: who is due what does not depend on memory."""
    async with Rig(open_redis().url) as rig:
        await rig.ledger.register("a", 2, TTL_S)
        await rig.client.config_set("maxmemory", 1)
        assert (await rig.ledger.register("a", 2, TTL_S)).workers == 1
        assert (await rig.ledger.register("b", 2, TTL_S)).workers == 2
