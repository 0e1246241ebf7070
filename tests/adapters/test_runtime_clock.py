"""Workers on clocks that are not exact."""

from dataclasses import dataclass

from adapters_rig import event
from adapters_stage import Stage

from worker.runtime.clock import Clock
from worker.sandbox.faults import Status, Throttle


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
