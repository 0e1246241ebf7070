"""Translates errors of the Redis client, and makes sure that cancellations are not lost in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

from numbergroup.ledger.scripts import explain_error


@asynccontextmanager
async def translate_errors(unavailable: type[Exception]) -> AsyncIterator[None]:
    """Raise `unavailable` in place of the Redis client's errors within."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise unavailable(f"{type(error).__name__}: {explain_error(str(error))}") from error
    finally:
        # The client uses asyncio.wait_for. Up to Python 3.11 it swallows a cancellation that arrives just
        # when sending is done (CPython gh-86296); a loop around it would never end.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
