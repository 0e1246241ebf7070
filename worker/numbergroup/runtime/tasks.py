"""Waits for, and cancels, several tasks at once."""

import asyncio
from collections.abc import Sequence


async def wait_for_first(tasks: Sequence[asyncio.Task[object]]) -> None:
    """Wait until one of the tasks ends, and raise its error if it has one."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def cancel_all(tasks: Sequence[asyncio.Task[object]]) -> None:
    """Cancel the tasks, and return when all have ended. Their errors are ignored."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
