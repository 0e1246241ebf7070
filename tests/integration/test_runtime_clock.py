"""Workers on clocks that are not exact."""

import time
from dataclasses import dataclass

import pytest
from integration_rig import Rig, event
from integration_stage import Stage

from numbergroup.runtime.clock import Clock
from numbergroup.sandbox.faults import Status, Throttle


@dataclass(slots=True, frozen=True)
class Coarse(Clock):
    """A clock that stands still for a fifth of a second at a time."""

    def now(self) -> float:
        return Clock.now(self) // 0.2 * 0.2


async def test_a_clock_that_is_coarse(embedded_url: str) -> None:
    """A timer that goes off early, by the clock of the worker itself, is set again."""
    async with Stage(embedded_url) as stage:
        await stage.client.flushall()
        stage.fault(Status(status=503, times=7), Throttle(retry_after="0.05", times=2))
        async with stage.worker(ports={"clock": Coarse()}):
            await stage.publish(event("c-1"))
            assert await stage.answered(1) == [("c-1", "applied")]


@pytest.mark.parametrize("away_s", [0.0, 3600.0, -86_400.0])
async def test_a_clock_of_another_machine(away_s: float) -> None:
    """It shows what that one shows, and says what this machine's own clock says."""
    clock = Clock.starting_from(time.time() + away_s)
    assert clock.now() - time.time() == pytest.approx(away_s, abs=1.0)
    assert clock.wall() == pytest.approx(time.time(), abs=1.0)


async def test_the_time_of_the_ledger(rig: Rig) -> None:
    """In Unix seconds."""
    assert await rig.ledger.time_s() == pytest.approx(time.time(), abs=1.0)
