"""Retries an action without end while the broker or the ledger is unavailable, with growing delays."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability.logging import get_logger

T = TypeVar("T")
Retry = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""How an action is retried: `retry_until_available` or `try_once`. The text is for the log."""

_UNAVAILABLE = (BrokerUnavailable, LedgerUnavailable)

log = get_logger("retrying")


async def try_once(_purpose: str, action: Callable[[], Awaitable[T]]) -> T:
    """Return the result of `action`, or raise its error."""
    return await action()


async def retry_until_available(purpose: str, action: Callable[[], Awaitable[T]]) -> T:
    """Return the result of `action`, retried while the broker or the ledger is unavailable.

    `purpose` says in the log what the action does. Other errors are raised.
    """
    try:
        # The first attempt nearly always succeeds, so it does without the machinery for retries.
        return await action()
    except _UNAVAILABLE as error:
        first_error = error
    return await _retry(purpose, action, first_error)


async def _retry(purpose: str, action: Callable[[], Awaitable[T]], first_error: Exception) -> T:
    """Continue `retry_until_available` after the first attempt failed."""
    failures = 0

    def log_failure(state: RetryCallState) -> None:
        nonlocal failures
        failures = state.attempt_number
        error = state.outcome.exception() if state.outcome else None
        log.error(f"{purpose}: unavailable, trying again", error=str(error), attempt=failures)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(_UNAVAILABLE),
        wait=wait_random_exponential(multiplier=0.1, max=2.0),
        before_sleep=log_failure,
    )

    async def attempt() -> T:
        if not failures:
            raise first_error
        return await action()

    result: T = await retrying(attempt)
    log.info(f"{purpose}: available again", attempts=failures + 1)
    return result
