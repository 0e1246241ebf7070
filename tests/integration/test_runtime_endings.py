"""How a worker ends: in order when it is told to, at once when a part of it breaks, and never half."""

from collections.abc import Callable
from typing import Any

import pytest
from integration_rig import LEASE, event
from integration_stage import Stage, Watched
from structlog.testing import capture_logs

from numbergroup.engine.effects import Effect
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import CallFinished, Delivered, Drain, Event, PermitGranted, Tick
from numbergroup.ledger import keys
from numbergroup.runtime import worker as runtime
from numbergroup.sandbox.faults import Status


@pytest.fixture
def url(embedded_url: str) -> str:
    """One broker is enough: how a worker ends is its own affair."""
    return embedded_url


class Bug(Exception):
    """What nobody expects."""


def bug(*_: Any, **__: Any) -> Any:
    raise Bug


async def awaited_bug(*_: Any, **__: Any) -> Any:
    raise Bug


class Buggy:
    """An engine that breaks on one kind of event."""

    def __init__(self, engine: Engine, kind: type[Event]) -> None:
        self._engine = engine
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def handle(self, event: Event) -> list[Effect]:
        if isinstance(event, self._kind):
            raise Bug
        return self._engine.handle(event)


def breaks_on(kind: type[Event]) -> Callable[[Engine], Buggy]:
    return lambda engine: Buggy(engine, kind)


class NoPermits:
    async def acquire(self, _most: int = 1) -> int:
        raise Bug


BROKEN_PARTS: dict[str, dict[str, Any]] = {
    "limiter": {"limiter": NoPermits()},
    "intake": {"ports": {"intake": Watched(None, {"read": bug})}},
    "builder": {"ports": {"builder": Watched(None, {"begin": bug})}},
    "whoever is told": {"written": bug},
    "look-up": {"ledger": {"lookup": awaited_bug}},
    "lease": {"ledger": {"acquire_lease": awaited_bug}},
    "register": {"ledger": {"register": awaited_bug}},
    "delivery": {"engine": breaks_on(Delivered)},
    "permit": {"engine": breaks_on(PermitGranted)},
    "end of a call": {"engine": breaks_on(CallFinished)},
}


@pytest.mark.parametrize("part", BROKEN_PARTS)
async def test_a_part_that_breaks_ends_the_worker(stage: Stage, part: str) -> None:
    """No part dies in silence: the worker ends with the error, says so, and the next one finds the work."""
    with capture_logs() as logs:
        async with stage.worker(**BROKEN_PARTS[part]) as running:
            await stage.publish(event("c-1"))
            assert isinstance(await running.broke(), Bug)
    assert [line["log_level"] for line in logs if line.get("exc_info")] == ["critical"]
    await stage.client.delete(LEASE, keys.WORKERS)
    async with stage.worker("next"):
        assert await stage.answered(1) == [("c-1", "applied")]


async def test_a_timer_that_breaks_ends_the_worker(stage: Stage) -> None:
    """Nor is an error lost that has no task to die of it."""
    stage.fault(Status(status=503))
    async with stage.worker(engine=breaks_on(Tick)) as running:
        await stage.publish(event("c-1"))
        assert isinstance(await running.broke(), Bug)


async def test_a_lease_that_breaks_ends_the_worker(stage: Stage) -> None:
    """A renewal that fails for no reason of the ledger's ends the worker: it must not go on without."""
    short = {"ports": {"lease_ttl_s": 0.4}, "ledger": {"renew_lease": awaited_bug}}
    async with stage.worker(**short) as running:
        assert isinstance(await running.broke(), Bug)


async def test_a_drain_that_breaks_ends_the_worker(stage: Stage) -> None:
    """An error in the middle of stopping is told too."""
    async with stage.worker(engine=breaks_on(Drain)) as running:
        await running.owns()
        running.worker.stop()
        assert isinstance(await running.broke(), Bug)


async def test_stopping_when_idle(stage: Stage) -> None:
    """An idle worker ends at once and gives the partition back; stopping again changes nothing."""
    async with stage.worker() as running:
        await stage.publish(event("c-1"))
        await stage.answered(1)
        running.worker.stop()
        running.worker.stop()
        await running.ended()
        assert not await stage.client.exists(LEASE)


async def test_stopping_in_the_middle_of_a_call(stage: Stage) -> None:
    """What is in flight is seen through and settled; what came after it stays in the broker."""
    stage.gate.opened.clear()
    async with stage.worker() as running:
        await stage.publish(event("c-1"))
        await stage.calls_waiting(1)
        running.worker.stop()
        (tag,) = await stage.publish(event("c-2"))
        stage.gate.opened.set()
        await running.ended()
        assert await stage.results() == [("c-1", "applied")]
        assert await stage.left() == [tag]
    async with stage.worker("next"):
        assert await stage.answered(2) == [("c-1", "applied"), ("c-2", "applied")]


async def test_stopping_between_two_attempts(stage: Stage) -> None:
    """A call that would be tried again is not: its commands stay in the broker."""
    stage.gate.opened.clear()
    stage.fault(Status(status=503))
    async with stage.worker() as running:
        published = await stage.publish(event("c-1"))
        await stage.calls_waiting(1)
        running.worker.stop()
        stage.gate.opened.set()
        await running.ended()
        assert (stage.arrived, await stage.results(), await stage.left()) == (1, [], published)


async def test_stopping_while_standing_by(stage: Stage) -> None:
    """Who owns nothing has nothing to finish."""
    async with stage.worker("first") as first:
        await first.owns()
        async with stage.worker("second") as second:
            await second.asked("register", 2)
            second.worker.stop()
            await second.ended()


@pytest.mark.redis_server
async def test_stopping_when_the_broker_is_away(open_redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be settled in time stays in the broker; the worker ends all the same."""
    monkeypatch.setattr(runtime, "_DRAIN_S", 0.3)
    server = open_redis(durable=True)
    async with Stage(server.url) as stage:
        stage.gate.opened.clear()
        with capture_logs() as logs:
            async with stage.worker() as running:
                await stage.publish(event("c-1"))
                await stage.calls_waiting(1)
                server.kill()
                stage.gate.opened.set()
                running.worker.stop()
                await running.ended()
        assert any(line["event"].startswith("could not settle everything") for line in logs)
        server.start()
        await stage.client.delete(LEASE, keys.WORKERS)
        async with stage.worker("next"):
            assert await stage.answered(1) == [("c-1", "applied")]
