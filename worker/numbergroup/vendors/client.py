"""Calls: one `Call` becomes one or more signed requests, and ends in one `Outcome`.

This is the only user of tenacity. Each request is signed anew, has a permit of its own, and is sent only
while the lease outlives its deadline. A call retries only what may pass within seconds. For anything longer
the engine parks the group, which holds no slot meanwhile.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt, wait_random_exponential
from tenacity.wait import wait_base

from numbergroup.engine.calls import (
    UPDATES,
    AccountFault,
    Call,
    CallKind,
    Outcome,
    Refused,
    Unavailable,
    Withheld,
)
from numbergroup.vendors.attempt import (
    NO_STEPS,
    CallAttempt,
    CallResult,
    Guard,
    Limits,
    Record,
    Steps,
    has_doubt,
)
from numbergroup.vendors.http import Transport
from numbergroup.vendors.keyring import Keyring
from numbergroup.vendors.listing import Listing
from numbergroup.vendors.port import Credentials, Provider
from numbergroup.vendors.request_sender import RequestSender
from numbergroup.vendors.tokens import Tokens

_LOOKUPS = (CallKind.FIND_CREATED, CallKind.READ_MEMBERS)


class Caller:
    """Makes the calls of one account. Close it when done, and with it its transport.

    `permit` returns when one request may be sent, or raises `LedgerUnavailable`. Requests are signed by
    `wall_s`, the machine's clock, which is corrected when the vendor refuses it. Doubts are counted on
    `now_s`, which never steps back. Both are in Unix seconds; `now_s` defaults to `wall_s`. With `tokens`
    the requests bear the account's token.
    """

    def __init__(
        self,
        provider: Provider,
        keyring: Keyring,
        transport: Transport,
        limits: Limits,
        *,
        permit: Callable[[], Awaitable[object]],
        wall_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wait: wait_base | None = None,
        now_s: Callable[[], float] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
        tokens: Tokens | None = None,
    ) -> None:
        self._provider = provider
        self._keyring = keyring
        self._transport = transport
        self._attempts = limits.attempts
        self._sleep = sleep
        self._wait = wait or wait_random_exponential(multiplier=0.2, max=2.0)
        self._now_s = now_s or wall_s
        self._monotonic_s = monotonic_s
        self._tokens = tokens
        self._sender = RequestSender(
            provider,
            keyring,
            transport,
            timeout_s=limits.timeout_s,
            permit=permit,
            wall_s=wall_s,
            now_s=self._now_s,
            monotonic_s=monotonic_s,
        )

    async def run(
        self,
        call: Call,
        guard: Guard,
        record: Record,
        permitted_at: float | None = None,
        *,
        once: bool = False,
        is_well: Callable[[], bool] = lambda: True,
        may_begin: Callable[[], bool] = lambda: True,
        must_wait: Callable[[], bool] = lambda: False,
        steps: Steps = NO_STEPS,
    ) -> CallResult:
        """Make `call` and return how it ended. Never raises, whatever the vendor or the network do.

        `permitted_at` is when the permit of its first request was granted (monotonic seconds; default: now).
        `record` is awaited before each request that is not a listing. With `once` the call is not retried,
        except to correct the time or the credentials that the vendor refused. Nor is it retried when
        `is_well` returns False. Its first request is sent only if `may_begin` returns True right before.
        While the account `must_wait`, no request corrects the time or the credentials. `steps` learns which
        step is reached.
        """
        attempt = CallAttempt(
            call=call,
            guard=guard,
            record=record,
            permit=self._monotonic_s() if permitted_at is None else permitted_at,
            max_tries=1 if once else self._attempts,
            is_well=is_well,
            may_begin=may_begin,
            must_wait=must_wait,
            steps=steps,
        )
        await steps.leave()
        return await (
            self._read_listing(attempt) if call.kind in _LOOKUPS else self._call_with_retries(attempt)
        )

    async def _call_with_retries(self, attempt: CallAttempt) -> CallResult:
        outcome = await self._send_corrected(attempt)
        if attempt.max_tries > 1 and self._is_retryable(attempt.call, outcome):
            outcome = await self._retry(attempt, outcome)
        if isinstance(outcome, Withheld) and attempt.requests:
            # The call's outcome is that of its earlier requests.
            lost = attempt.doubt_until is not None
            outcome = Unavailable("stopped between two attempts", lost, attempt.last_code)
        return CallResult(outcome, attempt.doubt_until, attempt.requests)

    async def _retry(self, attempt: CallAttempt, first: Outcome) -> Outcome:
        """Retry the call, whose `first` outcome counts as one try.

        Only calls that are retried pay for tenacity.
        """
        pending = [first]

        async def send_again() -> Outcome:
            if pending:
                return pending.pop()
            was_answered = attempt.last_code is not None
            outcome = await self._send_corrected(attempt)
            if was_answered and isinstance(outcome, Refused) and outcome.already_exists:
                # An earlier request may have created the group, whatever its answer was.
                attempt.doubt_until = self._sender.accepted_until()
                return replace(outcome, in_doubt=True)
            return outcome

        retrying = AsyncRetrying(
            stop=stop_after_attempt(attempt.max_tries),
            wait=self._wait,
            retry=retry_if_result(lambda outcome: self._is_retryable(attempt.call, outcome)),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
            sleep=self._sleep,
        )
        return await retrying(send_again)

    async def _send_corrected(self, attempt: CallAttempt) -> Outcome:
        """Send one request, and at once another one if the vendor refused its time or its credentials."""
        if attempt.requests and not attempt.is_well():
            # Other calls have shown meanwhile that the trouble lasts.
            return Withheld()
        credentials = self._keyring.get_current(self._now_s())
        outcome = await self._send_with_token(attempt, credentials, is_retry=attempt.requests > 0)
        if self._is_unrepeatable(attempt.call, outcome):
            return outcome
        is_first = not attempt.is_time_corrected
        if self._sender.is_clock_error(outcome) and is_first and not outcome.retry_after_s:
            attempt.is_time_corrected = True
            outcome = await self._send_with_token(attempt, credentials)
        if isinstance(outcome, AccountFault) and outcome.code in self._provider.credential_codes:
            others = self._keyring.get_alternative(credentials, self._now_s())
            if others is not None:
                outcome = await self._send_with_token(attempt, others)
        return outcome

    async def _send_with_token(
        self, attempt: CallAttempt, credentials: Credentials, *, is_retry: bool = False
    ) -> Outcome:
        """Send one request, with a token if the vendor wants one; and at once another one, with a new token,
        if the vendor refused the first token."""
        if self._tokens is None:
            return await self._sender.send(attempt, credentials, is_retry=is_retry)
        token = await self._tokens.get_token(credentials, may_send=attempt.may_correct)
        if not isinstance(token, str):
            return token
        outcome = await self._sender.send(attempt, replace(credentials, token=token), is_retry=is_retry)
        is_dead = isinstance(outcome, AccountFault) and outcome.code in self._tokens.rules.codes
        if not is_dead or attempt.is_token_renewed or self._is_unrepeatable(attempt.call, outcome):
            return outcome
        attempt.is_token_renewed = True
        token = await self._tokens.get_token(credentials, token, attempt.may_correct)
        if not isinstance(token, str):
            return token
        return await self._sender.send(attempt, replace(credentials, token=token))

    async def _read_listing(self, attempt: CallAttempt) -> CallResult:
        """Read pages until the group is found, or known to be absent."""
        listing = Listing(self._provider.capabilities.page_size, attempt.call)
        requests, permit = 0, attempt.permit
        while True:
            result = await self._call_with_retries(replace(attempt, call=listing.page, permit=permit))
            permit = None
            requests += result.attempts
            outcome = listing.add_page(result.outcome)
            if outcome is not None:
                return CallResult(outcome, None, requests)

    def _is_retryable(self, call: Call, outcome: Outcome) -> bool:
        if isinstance(outcome, Unavailable):
            # A call does not wait for as long as a vendor asks.
            return not outcome.retry_after_s and not self._is_unrepeatable(call, outcome)
        return (
            isinstance(outcome, Refused) and not outcome.certain and not self._is_unrepeatable(call, outcome)
        )

    def _is_unrepeatable(self, call: Call, outcome: Outcome) -> bool:
        """Whether the call may have been carried out, and would do more if it were sent again."""
        once = call.kind is CallKind.CREATE
        once |= call.kind in UPDATES and not self._provider.capabilities.idempotent
        return once and has_doubt(outcome)

    async def close(self) -> None:
        """Close the account's tokens and its transport."""
        if self._tokens is not None:
            await self._tokens.close()
        await self._transport.close()
