"""The number of partitions: agreed on before any work, and changed only when nobody could be hurt."""

import asyncio
from typing import Any

import pytest
from integration_rig import TTL_S, Rig, event
from integration_stage import Watched

from numbergroup.ledger import keys
from numbergroup.runtime.partitioning import agree_on_partitions
from numbergroup.settings import SettingsError


async def agree(rig: Rig, partitions: int) -> None:
    await agree_on_partitions(rig.ledger, rig.broker, partitions)


async def refused(rig: Rig, partitions: int) -> str:
    """Why it is, and that nothing was changed by it."""
    before = await rig.everything()
    with pytest.raises(SettingsError) as caught:
        await agree(rig, partitions)
    assert await rig.everything() == before
    return str(caught.value)


async def publish(rig: Rig, partition: int, count: int) -> None:
    for number in range(count):
        await rig.client.xadd(keys.commands(partition), {"event": event(f"c-{number}")})


async def test_the_backlog(rig: Rig) -> None:
    """What waits in each partition, and nothing where there is none."""
    await publish(rig, 1, 3)
    assert await rig.broker.count_waiting(3) == {0: 0, 1: 3, 2: 0}


async def test_the_first_worker_decides(rig: Rig) -> None:
    """What waits in the partitions that it has is no hindrance; the same again is no question."""
    await publish(rig, 7, 1)
    for _ in range(2):
        await agree(rig, 8)
    assert await rig.ledger.read_partition_count() == 8


async def test_the_first_worker_has_too_few(rig: Rig) -> None:
    """Commands wait where it would never look."""
    await publish(rig, 3, 2)
    await publish(rig, 900, 1)
    said = await refused(rig, 1)
    assert "NUMBERGROUP_PARTITIONS is 1, but commands wait in partition 3 (2), 900 (1): set it to" in said


@pytest.mark.parametrize(("before", "after", "where"), [(8, 2, 5), (8, 2, 1), (2, 8, 1), (2, 8, 5)])
async def test_commands_wait(rig: Rig, before: int, after: int, where: int) -> None:
    """In whichever partition, old or new: they are worked off first. It is said where, and what to do."""
    await agree(rig, before)
    await publish(rig, where, 2)
    said = await refused(rig, after)
    assert f"NUMBERGROUP_PARTITIONS is {after}" in said
    assert f"in partition {where} (2)" in said
    assert f"let workers with NUMBERGROUP_PARTITIONS={before} finish them" in said
    await rig.client.delete(keys.commands(where))
    await agree(rig, after)
    assert await rig.ledger.read_partition_count() == after


async def test_many_partitions_with_commands(rig: Rig) -> None:
    """The message stays readable."""
    await agree(rig, 40)
    for partition in range(40):
        await publish(rig, partition, 1)
    assert "8 (1), 9 (1), 30 more: let workers" in await refused(rig, 2)


async def test_workers_are_enrolled(rig: Rig) -> None:
    """While others work with the old number, be they idle, a new one is refused."""
    await agree(rig, 2)
    await rig.ledger.register("another", 2, TTL_S)
    assert "workers are at work with NUMBERGROUP_PARTITIONS=2: stop them all" in await refused(rig, 4)
    await agree(rig, 2)
    await rig.ledger.unregister("another")
    await agree(rig, 4)


async def test_a_worker_that_left_still_drains(rig: Rig) -> None:
    """Whoever stops, and has a partition until its last call ends, is in the way as well."""
    await agree(rig, 2)
    epoch = await rig.ledger.acquire_lease(1, "stopping", TTL_S)
    assert epoch is not None
    assert "stop them all" in await refused(rig, 4)
    await rig.ledger.release_lease(1, "stopping", epoch)
    await agree(rig, 4)


async def test_from_the_time_before_the_number_was_kept(rig: Rig) -> None:
    """A worker of an earlier version has the only partition: it need not stop for the same number."""
    await rig.ledger.acquire_lease(0, "earlier", TTL_S)
    assert "with NUMBERGROUP_PARTITIONS=1: stop" in await refused(rig, 2)
    await agree(rig, 1)


async def test_two_start_at_once(rig: Rig) -> None:
    """With different numbers: one is in force at any time, and whoever enrols under the other is told."""
    await asyncio.gather(agree(rig, 2), agree(rig, 3))
    assert await rig.ledger.read_partition_count() in (2, 3)


async def test_another_changes_it_meanwhile(rig: Rig) -> None:
    """It is looked at again: the other's number may be the same, or needs the same care."""
    await agree(rig, 4)

    async def overtaken(old: int, new: int) -> Any:
        assert await rig.ledger.repartition(old, 3) == 0
        instead.clear()
        return await rig.ledger.repartition(old, new)

    instead: dict[str, Any] = {"repartition": overtaken}
    await agree_on_partitions(Watched(rig.ledger, instead), rig.broker, 2)  # type: ignore[arg-type]
    assert await rig.ledger.read_partition_count() == 2
