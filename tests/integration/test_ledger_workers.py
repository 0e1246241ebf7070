"""The register of live workers, and the number of partitions that they share."""

import asyncio

import pytest
from integration_rig import TTL_S, Rig
from integration_servers import cutting, eventually

from numbergroup.ledger import keys
from numbergroup.ledger.port import PartitionCountChanged


async def register(rig: Rig, owner: str, partitions: int = 8, ttl_s: float = TTL_S) -> tuple[int, int]:
    standing = await rig.ledger.register(owner, partitions, ttl_s)
    return standing.rank, standing.workers


async def register_in_turn(rig: Rig, *owners: str) -> None:
    """Each a moment after the one before, by the server's clock."""
    for owner in owners:
        first = await rig.ledger.register(owner, 8, TTL_S)

        async def later(since: int = first.registered_at_ms) -> bool:
            seconds, micros = await rig.client.time()
            return int(seconds) * 1000 + int(micros) // 1000 > since

        await eventually(later, "a millisecond later")


async def test_seniority(rig: Rig) -> None:
    """Who enrolled first is first, whatever the name and however often each enrols again."""
    await register_in_turn(rig, "c", "a", "b")
    for _ in range(2):
        assert [await register(rig, owner) for owner in ("a", "b", "c")] == [(1, 3), (2, 3), (0, 3)]


async def test_all_at_once(rig: Rig) -> None:
    """However closely they come, each has a rank of its own."""
    owners = [f"w{n}" for n in range(20)]
    await asyncio.gather(*(register(rig, owner) for owner in owners))
    assert sorted([await register(rig, owner) for owner in owners]) == [(n, 20) for n in range(20)]


async def test_leaving(rig: Rig) -> None:
    """Who leaves counts no longer; who was behind moves up. Leaving twice, or unknown, changes nothing."""
    await register_in_turn(rig, "a", "b", "c")
    for owner in ("a", "a", "nobody"):
        await rig.ledger.unregister(owner)
    assert [await register(rig, owner) for owner in ("b", "c")] == [(0, 2), (1, 2)]
    await register_in_turn(rig, "a")
    assert await register(rig, "a") == (2, 3)


async def test_who_does_not_enrol_again_is_forgotten(rig: Rig) -> None:
    """By the server's clock; the others' lives are their own."""
    await register(rig, "dead", ttl_s=0.05)
    await register(rig, "alive")

    async def alone() -> bool:
        return await register(rig, "alive") == (0, 1)

    await eventually(alone, "the dead one is forgotten")
    assert await rig.client.hkeys(keys.WORKERS) == [b"alive"]


async def test_the_register_ends_with_the_last(rig: Rig) -> None:
    """When all are dead, nothing of them is left."""
    await register(rig, "dead", ttl_s=0.05)

    async def gone() -> bool:
        return not await rig.client.exists(keys.WORKERS)

    await eventually(gone, "an empty register")


async def test_after_an_outage(rig: Rig) -> None:
    """Whoever was away for no fault of its own may claim the seniority it had."""
    await register_in_turn(rig, "a")
    first = await rig.ledger.register("a", 8, TTL_S)
    await rig.client.delete(keys.WORKERS)
    await register_in_turn(rig, "b")
    assert (await rig.ledger.register("a", 8, TTL_S, first.registered_at_ms)).rank == 0
    assert await register(rig, "b") == (1, 2)


async def test_a_lost_answer(rig: Rig) -> None:
    """Asked again, the worker is enrolled once."""
    await register(rig, "warm-up")
    await rig.ledger.unregister("warm-up")
    async with cutting(rig.url, b"EVALSHA") as url, Rig(url) as far:
        assert await register(far, "a") == (0, 1)


async def test_the_number_of_partitions(rig: Rig) -> None:
    """The first worker's number is in force; who has another is told, and not enrolled."""
    assert await rig.ledger.read_partition_count() is None
    await register(rig, "a", 8)
    before = await rig.client.hgetall(keys.WORKERS)
    with pytest.raises(PartitionCountChanged, match="the number of partitions is 8 by now, and not 4"):
        await register(rig, "b", 4)
    assert await rig.client.hgetall(keys.WORKERS) == before
    assert await rig.ledger.read_partition_count() == 8


async def test_owners(rig: Rig) -> None:
    """Who has which partition."""
    await rig.ledger.acquire_lease(1, "me", TTL_S)
    await rig.ledger.acquire_lease(3, "you", TTL_S)
    assert await rig.ledger.read_owners(4) == [None, "me", None, "you"]


async def test_another_number_of_partitions(rig: Rig) -> None:
    """Nobody is at work: the new number is in force, and no lease or epoch of before is good any more."""
    epoch = await rig.ledger.acquire_lease(3, "frozen", TTL_S)
    assert epoch is not None
    await register(rig, "frozen", 4)
    await rig.client.delete(keys.WORKERS, keys.of_partition(3, "lease"))
    assert await rig.ledger.repartition(4, 2) == 0
    assert await rig.ledger.read_partition_count() == 2
    assert not await rig.ledger.renew_lease(3, "frozen", epoch, TTL_S)
    with pytest.raises(PartitionCountChanged):
        await register(rig, "frozen", 4)


async def test_workers_are_in_the_way(rig: Rig) -> None:
    """While anybody is enrolled, or has a lease, the number stays; nothing is changed."""
    await register(rig, "a", 4)
    await register(rig, "b", 4)
    await rig.ledger.acquire_lease(3, "a", TTL_S)
    before = await rig.everything()
    assert await rig.ledger.repartition(4, 2) == 3
    await rig.ledger.unregister("a")
    await rig.ledger.unregister("b")
    assert await rig.ledger.repartition(4, 2) == 1
    after = await rig.everything()
    assert {key for key in before if after.get(key) != before[key]} == {keys.WORKERS.encode()}


async def test_the_dead_are_not_in_the_way(rig: Rig) -> None:
    """A worker that no longer registers holds nothing up, even while it is still listed."""
    await register(rig, "dead", 4, ttl_s=0.05)
    await rig.client.persist(keys.WORKERS)

    async def changed() -> bool:
        return await rig.ledger.repartition(4, 2) == 0

    await eventually(changed, "the number is changed")


async def test_two_change_it_at_once(rig: Rig) -> None:
    """One of them does; the other is told that it is another number by now."""
    await register(rig, "a", 4)
    await rig.ledger.unregister("a")
    answers = await asyncio.gather(*(rig.ledger.repartition(4, new) for new in (2, 3)))
    assert sorted(answers, key=str) == [0, None]


async def test_before_the_number_was_kept(rig: Rig) -> None:
    """There was one partition: that is written down while its owner works on; for others it has to stop."""
    epoch = await rig.ledger.acquire_lease(0, "old", TTL_S)
    assert epoch is not None
    assert await rig.ledger.repartition(None, 2) == 1
    assert await rig.ledger.read_partition_count() is None
    assert await rig.ledger.repartition(None, 1) == 0
    assert await rig.ledger.renew_lease(0, "old", epoch, TTL_S)
