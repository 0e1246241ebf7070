"""Workers whose broker dies in the middle of the work, and comes back."""

from typing import Any

import pytest
from integration_rig import event
from integration_stage import Stage

pytestmark = pytest.mark.redis_server


def commands(names: range, groups: int) -> list[bytes]:
    """Each adds a number of its own to one of the groups."""
    return [event(f"c-{n}", f"g-{n % groups}", phones=f"8521{n:07}") for n in names]


def wanted(names: range, groups: int) -> dict[str, set[str]]:
    return {f"g-{g}": {f"8521{n:07}" for n in names if n % groups == g} for g in range(groups)}


async def test_the_broker_dies_before_anything_is_settled(open_redis: Any) -> None:
    """Calls end while the broker is dead: their results are written when it is back, each once."""
    server = open_redis(durable=True)
    async with Stage(server.url) as stage:
        stage.gate.opened.clear()
        async with stage.worker():
            await stage.publish(*commands(range(40), 8))
            await stage.calls_waiting(8)
            server.kill()
            stage.gate.opened.set()
            server.start()
            await stage.answered(40)
        assert {f"g-{g}": stage.members(f"g-{g}") for g in range(8)} == wanted(range(40), 8)


async def test_the_broker_dies_again_and_again(open_redis: Any) -> None:
    """Killed at any moment of a busy time, it costs no result, and no result comes twice."""
    server = open_redis(durable=True)
    async with Stage(server.url) as stage, stage.worker():
        for round_ in range(4):
            await stage.publish(*commands(range(round_ * 100, round_ * 100 + 100), 8))
            server.kill()
            server.start()
        await stage.answered(400)
        assert {f"g-{g}": stage.members(f"g-{g}") for g in range(8)} == wanted(range(400), 8)


async def test_memory_runs_out_for_a_while(open_redis: Any) -> None:
    """A broker that is full does not hold up what makes room in it: results are written, each once."""
    server = open_redis()
    async with Stage(server.url) as stage:
        stage.gate.opened.clear()
        async with stage.worker():
            await stage.publish(*commands(range(20), 4))
            await stage.calls_waiting(4)
            await stage.client.config_set("maxmemory", 1)
            stage.gate.opened.set()
            await stage.answered(20)
            await stage.client.config_set("maxmemory", 0)
