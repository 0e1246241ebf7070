"""Calls: one `Call` becomes one or more signed requests, and ends in one `Outcome`.

The only user of tenacity. Every attempt is signed anew, has a permit of its own, and is sent only while
the lease outlives its deadline. What may be retried here is what may pass within seconds; all that
takes longer is the engine's, which parks the group and holds no slot meanwhile.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    stop_after_attempt,
    wait_random_exponential,
)
from tenacity.wait import wait_base

from worker import points
from worker.engine.model import Applied, Call, CallKind, Group, Outcome, Refused, Unavailable, Withheld
from worker.ledger.port import LedgerUnavailable
from worker.providers.answers import http_date
from worker.providers.port import Provider, Request
from worker.telemetry import get_logger
from worker.transport import NoAnswer, NotConnected, TooLate, Transport

_ANSWER_BYTES = 1024 * 1024
_LISTING_BYTES = 64 * 1024 * 1024
_MOST_GROUPS, _MOST_NUMBERS = 100_000, 5_000_000
_CLOCK_MARGIN_S = 1.0
_PERMIT_LASTS_S = 0.05
_DATE_S = 1.0
"""A `Date` has whole seconds."""
_LOOKING = (CallKind.FIND_CREATED, CallKind.READ_MEMBERS)

log = get_logger("calls")

Record = Callable[[float], Awaitable[bool]]
"""Makes it durable that a request is about to be sent, which the vendor can accept until the given time
(Unix seconds). False: it could not be written, or must not be sent."""


class Guard(Protocol):
    """The worker's right to send: its lease."""

    async def outlives(self, seconds: float) -> bool:
        """Wait until the lease lasts for that long; False when it is lost or the worker stops."""


@dataclass(slots=True, frozen=True)
class Ended:
    """How a call ended. `doubt_until` (Unix seconds): a request of it may take effect until then."""

    outcome: Outcome
    doubt_until: float | None = None
    attempts: int = 0


@dataclass(slots=True, frozen=True)
class Limits:
    """Of one account, in seconds; `attempts` within one call."""

    connect_timeout_s: float = 3.0
    timeout_s: float = 8.0
    attempts: int = 3


class Caller:
    """Makes the calls of one account. Close it when done, and with it its transport.

    `permit` returns when one request may be sent, or raises `LedgerUnavailable`. Requests are signed by
    `wall_s`, the machine's clock, corrected when the vendor refuses it; doubts are counted on `now_s`,
    which never steps back. Both are in Unix seconds; without `now_s` there is one clock for both.
    """

    def __init__(
        self,
        provider: Provider,
        transport: Transport,
        limits: Limits,
        permit: Callable[[], Awaitable[None]],
        wall_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wait: wait_base | None = None,
        now_s: Callable[[], float] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._transport = transport
        self._limits = limits
        self._permit = permit
        self._wall_s = wall_s
        self._sleep = sleep
        self._wait = wait or wait_random_exponential(multiplier=0.2, max=2.0)
        self._now_s = now_s or wall_s
        self._monotonic_s = monotonic_s
        self._vendor_ahead_s = 0.0
        self._lasts_s = provider.acceptance_window_s

    async def run(self, call: Call, guard: Guard, record: Record, permitted_at: float | None = None) -> Ended:
        """Make `call`; its first permit was granted before, at `permitted_at` (monotonic seconds; now).

        `record` is awaited before each request that is no look. Never raises, whatever the vendor or the
        network do.
        """
        if permitted_at is None:
            permitted_at = self._monotonic_s()
        if call.kind in _LOOKING:
            return await self._look(guard, record, permitted_at)
        return await self._make(call, guard, record, permitted_at)

    async def _make(self, call: Call, guard: Guard, record: Record, permit: float | None) -> Ended:
        doubt_until: float | None = None
        attempts = 0

        async def attempt() -> Outcome:
            nonlocal doubt_until, attempts, permit
            until, sent = 0.0, False
            try:
                # It is for one try, also for one that comes to nothing: by the next it is long out of date.
                permitted_at, permit = permit, None
                if permitted_at is None:
                    await self._permit()
                    permitted_at = self._monotonic_s()
                if not await guard.outlives(self._limits.timeout_s):
                    return Withheld()
                until = self._now_s() + self._lasts_s + _CLOCK_MARGIN_S
                request = self._provider.request(call, round((self._wall_s() + self._vendor_ahead_s) * 1000))
                waited = call.kind is not CallKind.LIST
                if waited and not await record(until):
                    return Unavailable("the ledger did not take the intent to send it", in_doubt=False)
                if self._monotonic_s() - permitted_at > _PERMIT_LASTS_S:
                    # Others have waited, too: with permits of that time they would all leave at once.
                    waited = True
                    await self._permit()
                # The lease has grown older meanwhile.
                if waited and not await guard.outlives(self._limits.timeout_s):
                    return Withheld()
                sent_by = self._monotonic_s() + self._limits.timeout_s
                attempts += 1
                sent = True
                points.reach("about to send")
                outcome = await self._send(call, request, sent_by)
            except LedgerUnavailable as error:
                return Unavailable(f"no permit: {error}", in_doubt=False)
            except Exception as error:
                # A bug of ours must not take the other groups down: this one parks, and says why.
                log.exception("call ended in an unexpected error", kind=call.kind.value)
                outcome = Unavailable(f"internal error: {type(error).__name__}", in_doubt=sent)
            if isinstance(outcome, Unavailable) and outcome.in_doubt:
                doubt_until = until
            return outcome

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._limits.attempts),
            wait=self._wait,
            retry=retry_if_result(lambda outcome: _may_pass(call, outcome)),
            retry_error_callback=_last,
            sleep=self._sleep,
        )
        outcome: Outcome = await retrying(attempt)
        if isinstance(outcome, Withheld) and attempts:
            # The worker stops between two attempts: what became of the first is what there is to say.
            outcome = Unavailable("stopped between two attempts", in_doubt=doubt_until is not None)
        return Ended(outcome, doubt_until, attempts)

    async def _look(self, guard: Guard, record: Record, permit: float | None) -> Ended:
        """Read all pages: a short page is the last (the vendor's `total` is not to be relied on)."""
        groups: dict[str, Group] = {}
        attempts = held = 0
        page = Call(CallKind.LIST, limit=self._provider.page_size)
        while True:
            ended = await self._make(page, guard, record, permit)
            permit = None
            attempts += ended.attempts
            if not isinstance(ended.outcome, Applied):
                return replace(ended, attempts=attempts, doubt_until=None)
            found, known = ended.outcome.groups or (), len(groups)
            groups.update((group.group_id, group) for group in found)
            if len(found) < self._provider.page_size:
                return Ended(replace(ended.outcome, groups=tuple(groups.values())), None, attempts)
            held += sum(len(one.numbers) for one in found)
            if len(groups) >= _MOST_GROUPS or held > _MOST_NUMBERS:
                return Ended(Unavailable("the listing does not end", in_doubt=False), None, attempts)
            if len(groups) == known:
                # Asked further, it would go on for ever; and what was not listed is not proved absent.
                return Ended(Unavailable("the listing repeats itself", in_doubt=False), None, attempts)
            page = replace(page, offset=page.offset + len(found))

    async def _send(self, call: Call, request: Request, sent_by: float) -> Outcome:
        most = _LISTING_BYTES if call.kind is CallKind.LIST else _ANSWER_BYTES
        try:
            answer = await self._transport.exchange(request, most, sent_by)
        except (NotConnected, TooLate) as error:
            return Unavailable(str(error), in_doubt=False)
        except NoAnswer as error:
            return Unavailable(str(error), in_doubt=True)
        outcome = self._provider.outcome(call, answer)
        date = http_date(answer.headers.get("date"))
        vendor_s = None if date is None else date.timestamp()
        if isinstance(outcome, Unavailable) and outcome.code in self._provider.clock_codes:
            self._set_clock(vendor_s)
        self._note_clock(vendor_s)
        return outcome

    def _note_clock(self, vendor_s: float | None) -> None:
        """What is signed with a time that lies ahead of the vendor's, and is accepted, lasts for longer."""
        lasts_s = self._provider.acceptance_window_s
        signed_s = self._wall_s() + self._vendor_ahead_s
        ahead_s = 0.0 if vendor_s is None else signed_s - vendor_s - _DATE_S
        self._lasts_s = lasts_s + min(max(ahead_s, 0.0), lasts_s)

    def _set_clock(self, vendor_s: float | None) -> None:
        """Go by the vendor's clock, as far as it is known, when the vendor does not take ours."""
        self._vendor_ahead_s = 0.0 if vendor_s is None else vendor_s - self._wall_s()
        log.warning("the vendor's clock is not ours", vendor_ahead_s=round(self._vendor_ahead_s))

    async def close(self) -> None:
        await self._transport.close()


def _may_pass(call: Call, outcome: Outcome) -> bool:
    if isinstance(outcome, Unavailable):
        # A create that may have gone through is looked for, never sent again.
        return not (call.kind is CallKind.CREATE and outcome.in_doubt)
    return isinstance(outcome, Refused) and not outcome.certain


def _last(state: RetryCallState) -> Outcome:
    assert state.outcome is not None
    outcome: Outcome = state.outcome.result()
    return outcome
