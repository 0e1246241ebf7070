"""Tasks together: whichever ends first, and the end of all."""

import asyncio
from collections.abc import Sequence


async def wait_for_first(tasks: Sequence[asyncio.Task[object]]) -> None:
    """Wait until one of them ends; raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def cancel_all(tasks: Sequence[asyncio.Task[object]]) -> None:
    """Return when they have ended, however."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
