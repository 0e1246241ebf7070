"""The lease as its owner holds it: what it lets out, for how long, and what it does when it is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from deadlines import room
from integration_rig import Rig
from integration_servers import eventually
from integration_stage import Watched

from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.lease import Lease, LeaseLost

TTL_S = 0.8


@dataclass(slots=True, frozen=True)
class Stepped(Clock):
    """A clock that goes when it is told to."""

    steps: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return sum(self.steps)


class Held:
    """A lease of the partition, acquired at time 0, with the ledger's and the clock's strings in hand."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.clock = Stepped()
        self.renewals: asyncio.Queue[float | Exception] = asyncio.Queue()
        self.ledger = Watched(rig.ledger, {"renew_lease": self._renew})
        self.lease = Lease(self.ledger, 0, "me", TTL_S, self.clock)  # type: ignore[arg-type]

    async def _renew(self, *args: Any) -> bool:
        """Each renewal waits for its turn, and takes as long as it is told to, or fails."""
        turn = await self.renewals.get()
        if isinstance(turn, Exception):
            raise turn
        self.clock.steps.append(turn)
        return await self.rig.ledger.renew_lease(*args)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator["asyncio.Task[None]"]:
        keeping = asyncio.create_task(self.lease.renew_forever())
        try:
            yield keeping
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


@pytest.fixture
def url(embedded_url: str) -> str:
    """One broker is enough: what a ledger does with leases has tests of its own."""
    return embedded_url


@pytest.fixture
async def held(rig: Rig) -> Held:
    one = Held(rig)
    assert await one.lease.acquire()
    return one


def blocked(task: "asyncio.Task[Any]") -> bool:
    return not task.done()


async def let_run() -> None:
    """Give every task that can go on the time to do it."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_fresh_lease(held: Held) -> None:
    """What ends within the lease may be sent at once."""
    assert await held.lease.outlives(TTL_S - 0.1)
    assert held.lease.epoch == 1


async def test_waiting_for_a_renewal(held: Held) -> None:
    """What would outlast the lease waits for its renewal, and goes out then."""
    held.clock.steps.append(0.5)
    waiting = asyncio.create_task(held.lease.outlives(0.5))
    await let_run()
    assert blocked(waiting)
    async with held.kept():
        held.renewals.put_nowait(0.0)
        assert await asyncio.wait_for(waiting, room(5))


async def test_a_renewal_counts_from_before_it_was_sent(held: Held) -> None:
    """The server's time may run from the moment of sending: what the answer took is lost to the lease."""
    waiting = asyncio.create_task(held.lease.outlives(TTL_S))
    async with held.kept():
        held.clock.steps.append(0.3)
        held.renewals.put_nowait(0.5)
        await eventually(lambda: answered(held, 1), "renewed")
        assert blocked(waiting)
        assert await held.lease.outlives(TTL_S - 0.5)
        held.renewals.put_nowait(0.0)
        assert await asyncio.wait_for(waiting, room(5))


async def answered(held: Held, least: int) -> bool:
    """Whether the next renewal is waited for: the one before was answered, and taken in."""
    await let_run()
    return held.renewals.empty() and len(held.clock.steps) > least


async def test_no_ledger(held: Held) -> None:
    """While the ledger is away nothing is lost: who waits goes on waiting until a renewal goes through."""
    held.clock.steps.append(TTL_S)
    waiting = asyncio.create_task(held.lease.outlives(0.1))
    async with held.kept() as keeping:
        held.renewals.put_nowait(LedgerUnavailable("away"))
        held.renewals.put_nowait(LedgerUnavailable("away"))
        await eventually(lambda: answered(held, 0), "two renewals failed")
        assert blocked(waiting)
        assert blocked(keeping)
        held.renewals.put_nowait(0.0)
        assert await asyncio.wait_for(waiting, room(5))


async def test_a_lost_lease(held: Held) -> None:
    """When another has it, those who wait are told no, and so is everybody after them."""
    held.clock.steps.append(TTL_S)
    waiting = asyncio.create_task(held.lease.outlives(0.1))
    await held.rig.own("another")
    async with held.kept() as keeping:
        held.renewals.put_nowait(0.0)
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(asyncio.shield(keeping), room(5))
    assert not await waiting
    assert not await held.lease.outlives(0.0)


async def test_no_more_sending(held: Held) -> None:
    """Whoever stops tells those who wait at once, with the ledger or without it."""
    held.clock.steps.append(TTL_S)
    waiting = [asyncio.create_task(held.lease.outlives(0.1)) for _ in range(3)]
    await let_run()
    assert all(map(blocked, waiting))
    held.lease.stop_sending()
    assert await asyncio.wait_for(asyncio.gather(*waiting), room(5)) == [False] * 3
    assert not await held.lease.outlives(0.0)


async def test_one_who_waits_is_cancelled(held: Held) -> None:
    """One call that is given up does not keep the others waiting."""
    held.clock.steps.append(TTL_S)
    given_up, waiting = (asyncio.create_task(held.lease.outlives(0.1)) for _ in range(2))
    await let_run()
    given_up.cancel()
    async with held.kept():
        held.renewals.put_nowait(0.0)
        assert await asyncio.wait_for(waiting, room(5))
    assert given_up.cancelled()


async def test_a_renewal_that_hangs(held: Held) -> None:
    """A renewal without an answer is given up in time for another one."""
    held.clock.steps.append(TTL_S)
    waiting = asyncio.create_task(held.lease.outlives(0.1))
    async with held.kept() as keeping:

        async def asked_again() -> bool:
            return held.ledger.calls["renew_lease"] >= 2

        await eventually(asked_again, "the first renewal is given up")
        assert blocked(keeping)
        held.renewals.put_nowait(0.0)
        assert await asyncio.wait_for(waiting, room(5))


async def test_taken_by_another(rig: Rig) -> None:
    """While another has the partition it cannot be had; when that one lets go, it can."""
    await rig.own("another")
    lease = Held(rig).lease
    assert not await lease.acquire()
    await rig.ledger.release_lease(0, "another", 1)
    assert await lease.acquire()
    assert lease.epoch == 2


async def test_release(held: Held) -> None:
    """Released, the partition is free, and nothing more goes out."""
    await held.lease.release()
    assert not await held.lease.outlives(0.0)
    assert await held.rig.ledger.acquire_lease(0, "another", 10.0) == 2
