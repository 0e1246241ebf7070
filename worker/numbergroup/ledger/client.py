"""What every use of the Redis client needs: our own errors, and cancellations that arrive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

from numbergroup.ledger.scripts import explain_error


@asynccontextmanager
async def translate_errors(unavailable: type[Exception]) -> AsyncIterator[None]:
    """Whatever the client raises within becomes `unavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise unavailable(f"{type(error).__name__}: {explain_error(str(error))}") from error
    finally:
        # The client sends with asyncio.wait_for, which up to Python 3.11 swallows a cancellation that comes
        # when the sending is just done (CPython gh-86296): a loop around it would go on for ever.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
