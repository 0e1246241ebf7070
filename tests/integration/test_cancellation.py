"""Cancelling: it arrives at whatever moment it comes, and leaves nothing behind."""

import asyncio

import pytest
from integration_rig import ACTIONS, Rig

from numbergroup.brokers.port import Log

MOMENTS = 30
"""More turns of the event loop than any of these actions takes until it waits for its answer."""


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
