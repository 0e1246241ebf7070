"""Waiting for the broker and the ledger to come back: for ever, loudly, and ever more slowly."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability.logging import get_logger

T = TypeVar("T")
Retry = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""How long something is tried for: `patiently`, or `once`."""

_AWAY = (BrokerUnavailable, LedgerUnavailable)

log = get_logger("patience")


async def try_once(_what: str, action: Callable[[], Awaitable[T]]) -> T:
    """The result of `action`, or what it raises."""
    return await action()


async def retry_until_available(what: str, action: Callable[[], Awaitable[T]]) -> T:
    """The result of `action`, tried until the broker or the ledger answers. Other errors pass through."""
    try:
        # Nearly always it answers at once: what it takes to try again is not built for that.
        return await action()
    except _AWAY as error:
        first = error
    return await _again(what, action, first)


async def _again(what: str, action: Callable[[], Awaitable[T]], first: Exception) -> T:
    """See `patiently`; the first attempt was made, and failed."""
    failures = 0

    def complain(state: RetryCallState) -> None:
        nonlocal failures
        failures = state.attempt_number
        error = state.outcome.exception() if state.outcome else None
        log.error(f"{what}: unavailable, trying again", error=str(error), attempt=failures)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(_AWAY),
        wait=wait_random_exponential(multiplier=0.1, max=2.0),
        before_sleep=complain,
    )

    async def attempt() -> T:
        if not failures:
            raise first
        return await action()

    result: T = await retrying(attempt)
    log.info(f"{what}: available again", attempts=failures + 1)
    return result
