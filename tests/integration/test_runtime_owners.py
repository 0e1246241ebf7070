"""Workers that follow each other on one partition: one at a time, and nothing twice."""

import asyncio
from typing import Any

import pytest
from deadlines import room
from integration_rig import LEASE, TTL_S, event
from integration_servers import eventually
from integration_stage import Stage
from structlog.testing import capture_logs

from numbergroup.brokers.port import StaleEpoch
from numbergroup.ledger import keys
from numbergroup.ledger.port import LedgerUnavailable

C1, C2, C3 = (event(f"c-{n}", phones=f"8521111111{n}") for n in (1, 2, 3))
APPLIED = [(f"c-{n}", "applied") for n in (1, 2, 3)]


async def replace_owner(stage: Stage) -> int:
    """Let another owner take the partition, for long."""
    await stage.client.delete(LEASE)
    epoch = await stage.ledger.acquire_lease(0, "another", 600.0)
    assert epoch is not None
    return epoch


async def test_a_partition_that_was_lost(stage: Stage) -> None:
    """A worker whose partition another has writes nothing, sends nothing more, and stands by."""
    stage.gate.opened.clear()
    async with stage.worker() as running:
        await stage.publish(C1)
        await stage.calls_waiting(1)
        epoch = await replace_owner(stage)
        before = await stage.everything()
        stage.gate.opened.set()
        await running.asked_again("read_owners", 2)
        await stage.publish(C2)
        await running.asked_again("read_owners", 2)
        assert stage.arrived == 1
        after = await stage.everything()
        changed = {key for key in after if after[key] != before.get(key)}
        assert changed - {keys.WORKERS.encode()} == {b"numbergroup:{0}:commands"}
        # The other one hands the partition back: everything is done after all, each thing once.
        await stage.ledger.release_lease(0, "another", epoch)
        assert await stage.answered(2) == APPLIED[:2]
    assert stage.members("g-1") == {"85211111111", "85211111112"}


async def test_the_successor_goes_on(stage: Stage) -> None:
    """Two workers, one partition: the second stands by, and goes on where the first stopped."""
    async with stage.worker("first") as first:
        await first.owns()
        async with stage.worker("second") as second:
            await stage.publish(C1)
            await stage.answered(1)
            first.worker.stop()
            await first.ended()
            await second.owns()
            await stage.publish(C2)
            assert await stage.answered(2) == APPLIED[:2]


async def test_an_old_lease_lets_nothing_out(stage: Stage) -> None:
    """While its lease cannot be renewed a worker sends nothing; with a renewal it goes on."""
    allowed = asyncio.Event()

    async def renew(*args: Any) -> bool:
        if not allowed.is_set():
            raise LedgerUnavailable("away")
        return await stage.ledger.renew_lease(*args)

    # A lease that is too short for any call, until it is renewed with the usual length.
    async def acquire(partition: int, owner: str, _ttl_s: float, above: int) -> int | None:
        return await stage.ledger.acquire_lease(partition, owner, TTL_S, above)

    short: Any = {"renew_lease": renew, "acquire_lease": acquire}
    async with stage.worker(ledger=short, ports={"lease_ttl_s": 2.05}) as running:
        await running.asked("renew_lease")
        await stage.publish(C1)
        await running.asked("lookup")
        await running.asked_again("renew_lease", 2)
        assert (stage.arrived, await stage.results()) == (0, [])
        allowed.set()
        assert await stage.answered(1) == APPLIED[:1]


class Twice:
    """A limiter whose second permit comes a few turns of the event loop after it was told to."""

    def __init__(self, turns: int) -> None:
        self.told = asyncio.Event()
        self._turns = turns
        self._granted = 0

    async def acquire(self, _most: int = 1) -> int:
        self._granted += 1
        if self._granted == 2:
            await self.told.wait()
            for _ in range(self._turns):
                await asyncio.sleep(0)
        return 1


@pytest.mark.parametrize("turns", range(5))
async def test_no_call_slips_into_a_later_lease(embedded_url: str, turns: int) -> None:
    """A call that was decided under a lost lease is not made under the next one, whenever it was decided."""
    async with Stage(embedded_url) as stage:
        await stage.client.flushall()
        limiter = Twice(turns)
        lost = asyncio.Event()

        async def renew(*args: Any) -> bool:
            if lost.is_set():
                return True
            # The answer that the partition is lost, and the permit, come at the same time.
            lost.set()
            limiter.told.set()
            return False

        epochs = iter([1, 2])

        async def acquire(*_: Any) -> int | None:
            return next(epochs)

        await stage.client.set("numbergroup:{0}:epoch", 1)
        instead: Any = {"renew_lease": renew, "acquire_lease": acquire}
        stage.gate.opened.clear()
        ports = {"lease_ttl_s": 2.5}
        async with stage.worker(ledger=instead, limiter=limiter, ports=ports, max_in_flight=2):
            await stage.publish(C1, event("other", group="g-2"))
            await stage.calls_waiting(1)
            await asyncio.wait_for(lost.wait(), room(5))
            await stage.client.set("numbergroup:{0}:epoch", 2)
            await stage.calls_waiting(2)
            stage.gate.opened.set()
            await stage.answered(2)
        by_group = [call.group_id for call in stage.sandbox.state.calls.recent()]
        assert by_group.count("g-2") == 1


async def test_a_stale_epoch_is_told(stage: Stage) -> None:
    """A settlement that comes too late ends the ownership, and the log says why."""
    stage.gate.opened.clear()
    with capture_logs() as logs:
        async with stage.worker() as running:
            await stage.publish(C1)
            await stage.calls_waiting(1)
            await replace_owner(stage)
            stage.gate.opened.set()

            async def told() -> bool:
                return any(line["event"].startswith("partition lost") for line in logs)

            await eventually(told, "the loss is logged")
            assert not running.task.done()
    (line,) = [line for line in logs if line["event"].startswith("partition lost")]
    assert line["reason"] == str(StaleEpoch("partition 0: epoch 1 is over"))
