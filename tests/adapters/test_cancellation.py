"""Cancelling: it arrives at whatever moment it comes, and leaves nothing behind."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from adapters_rig import KEY_REF, TTL_S, Rig, command, intent

from worker.brokers.port import Log
from worker.engine.settlement import Reply, Settlement

MOMENTS = 30
"""More turns of the event loop than any of these actions takes until it waits for its answer."""

ACTIONS: dict[str, Callable[[Rig, Log], Awaitable[object]]] = {
    "read": lambda rig, log: log.read(10),
    "settle": lambda rig, log: log.settle(Settlement(0, replies=[Reply(None, b"x")]), 1),
    "lookup": lambda rig, log: rig.ledger.lookup(0, [command("a", KEY_REF)]),
    "record_intent": lambda rig, log: rig.ledger.record_intent(0, KEY_REF, intent()),
    "acquire_lease": lambda rig, log: rig.ledger.acquire_lease(0, "me", TTL_S),
    "renew_lease": lambda rig, log: rig.ledger.renew_lease(0, "me", rig.epoch, TTL_S),
    "release_lease": lambda rig, log: rig.ledger.release_lease(0, "another", rig.epoch),
    "acquire": lambda rig, log: rig.ledger.limiter("default", 1000).acquire(),
}


@pytest.mark.parametrize("name", ACTIONS)
async def test_a_cancellation_arrives(rig: Rig, name: str) -> None:
    """Whoever is cancelled before it has ended does not go on, and the next answer is the next one's."""
    await rig.publish(b"1")
    for moment in range(MOMENTS):
        log = await rig.own()

        async def act(log: Log = log) -> None:
            await ACTIONS[name](rig, log)

        acting = asyncio.create_task(act())
        for _ in range(moment):
            await asyncio.sleep(0)
        if acting.cancel():
            with pytest.raises(asyncio.CancelledError):
                await acting
        assert await rig.client.echo(f"{moment}") == b"%d" % moment
