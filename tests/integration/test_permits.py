"""Permits: in the order of asking, as many at once as there are."""

import asyncio

from integration_rig import Rig
from integration_servers import eventually

from numbergroup.engine.events import Event, PermitGranted
from numbergroup.ledger.limiter import RedisLimiter
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.permits import PermitQueue


async def test_as_many_at_once_as_are_wanted_and_there(rig: Rig) -> None:
    """All that are wanted are granted, and no more, in the order of asking; those that came at once say so,
    lest the last one be taken for younger than it is."""
    granted: list[tuple[bool, float]] = []

    def dispatch(event: Event, at: float) -> bool:
        assert isinstance(event, PermitGranted)
        granted.append((event.probe, at))
        return event.probe

    async def caught_up() -> None:
        pass

    async def use(event: PermitGranted, at: float) -> bool:
        return dispatch(event, at)

    clock = Clock()
    # Three at once, as a burst; none is thrown away because the machine is slow.
    limiters = {"default": RedisLimiter(rig.client, "default", 150, monotonic_s=lambda: 0.0)}
    permits = PermitQueue(
        limiters,
        rig.control_store,
        clock,
        owner="me",
        probe_s=20.0,
        jitter=lambda: 0.5,
        wait_until_caught_up=caught_up,
        dispatch=dispatch,
        use_permit=use,
    )
    wanted = [False] * 5 + [True] + [False] * 2
    began = clock.monotonic()
    for probe in wanted:
        permits.request("default", probe=probe)
    running = asyncio.create_task(permits.run("default"))

    async def all_granted() -> bool:
        return len(granted) >= len(wanted)

    await eventually(all_granted, "every permit that was asked for")
    running.cancel()
    assert [probe for probe, _ in granted] == wanted
    times = [at for _, at in granted]
    assert times == sorted(times)
    assert began <= times[0] == times[1] == times[2] < times[3]
    assert times[-1] <= clock.monotonic()
