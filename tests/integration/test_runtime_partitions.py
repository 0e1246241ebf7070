"""Workers that share partitions: each its due, handed over in order, and a group never with two of them."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from integration_rig import event
from integration_servers import eventually
from integration_stage import Gate, Running, Stage
from structlog.testing import capture_logs

from numbergroup.ledger import keys
from numbergroup.ledger.port import LedgerUnavailable, PartitionCountChanged
from numbergroup_contracts.names import partition_of

HANDLES = [f"g-{n}" for n in range(200)]


def sharing(partitions: int, ttl_s: float = 10.0) -> dict[str, Any]:
    return {"partitions": partitions, "lease_ttl_s": ttl_s}


def groups_of(partition: int, partitions: int) -> list[str]:
    """Handles of groups that belong in the partition."""
    return [handle for handle in HANDLES if partition_of(handle, partitions) == partition]


async def publish(stage: Stage, partition: int, *bodies: bytes) -> None:
    for body in bodies:
        await stage.client.xadd(keys.commands(partition), {"event": body})


async def owners(stage: Stage, partitions: int) -> dict[str, int]:
    """How many partitions each has."""
    return dict(Counter(owner for owner in await stage.ledger.read_owners(partitions) if owner))


async def shared(stage: Stage, **wanted: int) -> None:
    """Return when each owns so many partitions."""
    partitions = sum(wanted.values())

    async def so() -> bool:
        return await owners(stage, partitions) == {name: count for name, count in wanted.items() if count}

    await eventually(so, f"shared as {wanted}")


async def answered(stage: Stage, count: int, partitions: int) -> dict[str, str]:
    """The status of each command, when there are so many, one each, and nothing is left anywhere."""

    async def enough() -> bool:
        left = [await stage.client.xlen(keys.commands(number)) for number in range(partitions)]
        return len(await stage.results()) >= count and not any(left)

    await eventually(enough, f"{count} results")
    results = await stage.results()
    assert len(results) == len(dict(results)) == count
    return dict(results)


async def times_taken(stage: Stage, partitions: int) -> int:
    """How often partitions were acquired, all together."""
    return sum([int(await stage.client.get(keys.of_partition(n, "epoch")) or 0) for n in range(partitions)])


async def test_everybody_gets_a_share(stage: Stage) -> None:
    """Who joins is given its share and who leaves gives it back, and nothing else moves."""
    ports = sharing(8)
    async with stage.worker("a", ports=ports) as first:
        await shared(stage, a=8)
        async with stage.worker("b", ports=ports):
            await shared(stage, a=4, b=4)
            assert await times_taken(stage, 8) == 8 + 4
            async with stage.worker("c", ports=ports):
                await shared(stage, a=3, b=3, c=2)
                assert await times_taken(stage, 8) == 8 + 4 + 2
                first.worker.stop()
                await first.ended()
                await shared(stage, b=4, c=4)
                assert await times_taken(stage, 8) == 8 + 4 + 2 + 3
            await shared(stage, b=8)


async def test_more_workers_than_partitions(stage: Stage) -> None:
    """Those that nothing is due to stand by, say so, and take over from whoever stops."""
    ports = sharing(2)
    with capture_logs() as logs:
        async with stage.worker("a", ports=ports) as first:
            await shared(stage, a=2)
            async with stage.worker("b", ports=ports):
                await shared(stage, a=1, b=1)
                async with stage.worker("c", ports=ports) as third:
                    await third.asked("register", 3)
                    idle = [line["owner"] for line in logs if line["event"].startswith("standing by")]
                    assert idle[-1:] == ["c"]
                    assert await owners(stage, 2) == {"a": 1, "b": 1}
                    first.worker.stop()
                    await first.ended()
                    await shared(stage, b=1, c=1)


async def test_the_dead_are_replaced(stage: Stage) -> None:
    """Who does not renew its registration and its leases loses both, and the others share what it had."""
    await stage.ledger.register("dead", 4, 0.6)
    for number in range(4):
        await stage.ledger.acquire_lease(number, "dead", 0.6)
    async with stage.worker("a", ports=sharing(4)):
        await shared(stage, a=4)


async def both_busy(stage: Stage, running: Running) -> tuple[Gate, str, str]:
    """One call of either partition at the gate; of partition 1 one more is. Later calls pass it."""
    mine, others = groups_of(0, 2), groups_of(1, 2)
    stage.gate.opened.clear()
    await publish(stage, 0, event("stuck", mine[0]))
    await publish(stage, 1, event("c-1", others[0]), event("c-2", others[1]))
    await stage.calls_waiting(3)
    closed = Gate()
    closed.opened = stage.gate.opened
    stage.gate.opened = asyncio.Event()
    stage.gate.opened.set()
    return closed, mine[0], others[2]


async def test_a_hand_over_with_calls_in_flight(stage: Stage) -> None:
    """The call in flight is seen through and settled before the next owner begins; meanwhile the worker's
    other partition goes on, and what comes for the one that is handed over waits for its next owner."""
    ports = sharing(2)
    async with stage.worker("a", ports=ports) as first:
        await shared(stage, a=2)
        closed, stuck, other = await both_busy(stage, first)
        async with stage.worker("b", ports=ports) as second:
            await second.asked("read_owners", 2)
            await publish(stage, 0, event("late", stuck, phones="85211111115"))
            await publish(stage, 1, event("c-3", other))

            async def goes_on() -> bool:
                return ("c-3", "applied") in await stage.results()

            await eventually(goes_on, "the other partition goes on")
            await second.asked_again("read_owners", 2)
            assert await owners(stage, 2) == {"a": 2}
            assert stage.arrived == 4
            closed.opened.set()
            await shared(stage, a=1, b=1)
            assert await answered(stage, 5, 2) == dict.fromkeys(
                ["stuck", "c-1", "c-2", "c-3", "late"], "applied"
            )
            assert (await stage.ledger.read_owners(2))[0] == "b"
    assert stage.arrived == 5
    assert stage.members(stuck) == {"85211111114", "85211111115"}


async def test_no_register(stage: Stage) -> None:
    """While the register is away a worker keeps and renews what it has, and takes nothing; later it does."""
    away = asyncio.Event()

    async def register(*args: Any) -> Any:
        if away.is_set():
            raise LedgerUnavailable("away")
        return await stage.ledger.register(*args)

    await stage.ledger.register("another", 4, 600.0)
    async with stage.worker("a", ports=sharing(4, 2.5), ledger={"register": register}) as running:

        async def two() -> bool:
            return await owners(stage, 4) == {"a": 2}

        await eventually(two, "two of four")
        away.set()
        # What it asked for before that is answered by now.
        await running.asked_again("register", 1)
        await stage.ledger.unregister("another")
        await running.asked_again("register", 3)
        await running.asked_again("renew_lease", 4)
        assert await owners(stage, 4) == {"a": 2}
        mine = next(n for n, owner in enumerate(await stage.ledger.read_owners(4)) if owner)
        await publish(stage, mine, event("c-1", groups_of(mine, 4)[0]))
        await answered(stage, 1, 4)
        away.clear()
        await shared(stage, a=4)


async def test_after_an_outage_nobody_grabs(stage: Stage) -> None:
    """Whoever is back first takes nothing of the others' at once, though it seems to be alone."""
    lost: list[int] = [1]

    async def register(*args: Any) -> Any:
        if lost:
            lost.pop()
            raise LedgerUnavailable("away")
        return await stage.ledger.register(*args)

    async with stage.worker("a", ports=sharing(4, 4.0), ledger={"register": register}) as running:
        await running.asked("register", 4)
        assert await owners(stage, 4) == {}
        for number in range(3):
            await stage.ledger.acquire_lease(number, "back", 600.0)
        await stage.ledger.register("back", 4, 600.0)
        await running.asked("read_owners")
        await running.asked_again("register", 2)
        assert await owners(stage, 4) == {"back": 3, "a": 1}


async def test_another_number_is_in_force(stage: Stage) -> None:
    """A worker that finds the commands in another number of partitions ends at once, with the reason, and
    settles nothing more, not even what is in flight."""
    stage.gate.opened.clear()
    async with stage.worker("a", ports=sharing(2)) as running:
        await shared(stage, a=2)
        await publish(stage, 0, event("c-1", groups_of(0, 2)[0]))
        await stage.calls_waiting(1)
        await stage.client.set(keys.PARTITIONS, 3)
        assert isinstance(await running.broke(), PartitionCountChanged)
        stage.gate.opened.set()
    assert await stage.results() == []
    assert await stage.client.xlen(keys.commands(0)) == 1


@pytest.mark.slow
async def test_many_partitions(stage: Stage) -> None:
    """More than are taken at once: all are, soon, and all are given back at the end."""
    async with stage.worker("a", ports=sharing(80)):
        await shared(stage, a=80)
        await publish(stage, 79, event("c-1", groups_of(79, 80)[0]))
        await answered(stage, 1, 80)
    assert await owners(stage, 80) == {}


@pytest.mark.parametrize("stopped", ["a", "b"])
async def test_a_worker_leaves_before_it_hands_over(stage: Stage, stopped: str) -> None:
    """Whoever stops is out of the register while its last calls are in flight: the others know."""
    ports = sharing(2)
    async with stage.worker("a", ports=ports) as first, stage.worker("b", ports=ports) as second:
        await shared(stage, a=1, b=1)
        stage.gate.opened.clear()
        held = (await stage.ledger.read_owners(2)).index(stopped)
        await publish(stage, held, event("c-1", groups_of(held, 2)[0]))
        await stage.calls_waiting(1)
        going, staying = (first, second) if stopped == "a" else (second, first)
        going.worker.stop()

        async def gone() -> bool:
            return await stage.client.hkeys(keys.WORKERS) == [staying.owner.encode()]

        await eventually(gone, "one worker is registered")
        assert await owners(stage, 2) == {"a": 1, "b": 1}
        stage.gate.opened.set()
        await going.ended()
        await shared(stage, **{staying.owner: 2})
        assert await answered(stage, 1, 2) == {"c-1": "applied"}
