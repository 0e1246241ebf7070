"""Calls: one `Call` becomes one or more signed requests, and ends in one `Outcome`.

The only user of tenacity. Every attempt is signed anew, has a permit of its own, and is sent only while
the lease outlives its deadline. What may be retried here is what may pass within seconds; all that
takes longer is the engine's, which parks the group and holds no slot meanwhile.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeGuard

from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt, wait_random_exponential
from tenacity.wait import wait_base

from numbergroup.engine.calls import (
    UPDATES,
    AccountFault,
    Applied,
    Call,
    CallKind,
    Outcome,
    Refused,
    Unavailable,
    Withheld,
)
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup.vendors.answers import http_date
from numbergroup.vendors.attempt import NO_STEPS, CallAttempt, Guard, Record, Steps, in_doubt
from numbergroup.vendors.attempt import CallResult as CallResult
from numbergroup.vendors.attempt import Limits as Limits
from numbergroup.vendors.certainty import is_in_doubt
from numbergroup.vendors.http import MayGo, Transport, Withdrawn, answer_to
from numbergroup.vendors.keyring import Keyring, Which
from numbergroup.vendors.listing import Listing
from numbergroup.vendors.port import Credentials, Provider, Request
from numbergroup.vendors.tokens import Tokens
from numbergroup.vendors.vendor_clock import VendorClock

_ANSWER_BYTES = 1024 * 1024
_LISTING_BYTES = 64 * 1024 * 1024
_CLOCK_MARGIN_S = 1.0
_PERMIT_LASTS_S = 0.05
_LOOKING = (CallKind.FIND_CREATED, CallKind.READ_MEMBERS)

log = get_logger("calls")


class Caller:
    """Makes the calls of one account. Close it when done, and with it its transport.

    `permit` returns when one request may be sent, or raises `LedgerUnavailable`. Requests are signed by
    `wall_s`, the machine's clock, corrected when the vendor refuses it; doubts are counted on `now_s`,
    which never steps back. Both are in Unix seconds; without `now_s` there is one clock for both. Where the
    vendor wants tokens, requests bear those of `tokens`.
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
        self._limits = limits
        self._permit = permit
        self._sleep = sleep
        self._wait = wait or wait_random_exponential(multiplier=0.2, max=2.0)
        self._now_s = now_s or wall_s
        self._monotonic_s = monotonic_s
        self._tokens = tokens
        self._clock = VendorClock(wall_s, provider.acceptance_window_s)

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
        """Make `call`; its first permit was granted before, at `permitted_at` (monotonic seconds; now).

        `record` is awaited before each request that is no look. `once`: it is not tried again, unless the
        answer says what was wrong with our time or credentials; nor is it when the account is not `is_well`
        any more. It is not made at all if it may not begin any more at the moment of sending. While the
        account `must_wait`, no request is sent that corrects our time or credentials. `steps` learns which
        step is reached. Never raises, whatever the vendor or the network do.
        """
        permitted_at = self._monotonic_s() if permitted_at is None else permitted_at
        most = 1 if once else self._limits.attempts
        run = CallAttempt(call, guard, record, permitted_at, most, is_well, may_begin, must_wait, steps)
        await steps.leave()
        return await (self._look(run) if call.kind in _LOOKING else self._make(run))

    async def _make(self, run: CallAttempt) -> CallResult:
        outcome = await self._attempt(run)
        if run.most > 1 and self._may_pass(run.call, outcome):
            outcome = await self._again(run, outcome)
        if isinstance(outcome, Withheld) and run.requests:
            # What became of the first attempt is what there is to say.
            lost = run.doubt_until is not None
            outcome = Unavailable("stopped between two attempts", lost, run.last_code)
        return CallResult(outcome, run.doubt_until, run.requests)

    async def _again(self, run: CallAttempt, first: Outcome) -> Outcome:
        """Try what may pass again; the first attempt was made. Most calls never pay for what this takes."""
        made = [first]

        async def attempt() -> Outcome:
            if made:
                return made.pop()
            was_answered = run.last_code is not None
            outcome = await self._attempt(run)
            if was_answered and isinstance(outcome, Refused) and outcome.already_exists:
                # An earlier request may have made the group, whatever it was answered.
                run.doubt_until = self._now_s() + self._clock.lasts_s + _CLOCK_MARGIN_S
                return replace(outcome, in_doubt=True)
            return outcome

        retrying = AsyncRetrying(
            stop=stop_after_attempt(run.most),
            wait=self._wait,
            retry=retry_if_result(lambda outcome: self._may_pass(run.call, outcome)),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
            sleep=self._sleep,
        )
        return await retrying(attempt)

    async def _attempt(self, run: CallAttempt) -> Outcome:
        """One request; and at once another one, where the answer says what was wrong with ours."""
        if run.requests and not run.is_well():
            # Others have found out meanwhile that it is no passing trouble.
            return Withheld()
        credentials = self._keyring.current(self._now_s())
        outcome = await self._with_token(run, credentials, again=run.requests > 0)
        if self._is_spent(run.call, outcome):
            return outcome
        if self._is_about_time(outcome) and not run.corrected and not outcome.retry_after_s:
            run.corrected = True
            outcome = await self._with_token(run, credentials)
        if isinstance(outcome, AccountFault) and outcome.code in self._provider.credential_codes:
            others = self._keyring.other(credentials, self._now_s())
            if others is not None:
                outcome = await self._with_token(run, others)
        return outcome

    async def _with_token(
        self, run: CallAttempt, credentials: Credentials, *, again: bool = False
    ) -> Outcome:
        """One request, which bears the token if the vendor wants one; and at once another one, with the token
        that is good, where the vendor says that this one was dead."""
        if self._tokens is None:
            return await self._request(run, credentials, again=again)
        token = await self._tokens.current(credentials, may_ask=run.may_correct)
        if not isinstance(token, str):
            return token
        outcome = await self._request(run, replace(credentials, token=token), again=again)
        is_dead = isinstance(outcome, AccountFault) and outcome.code in self._tokens.rules.codes
        if not is_dead or run.renewed or self._is_spent(run.call, outcome):
            return outcome
        run.renewed = True
        token = await self._tokens.current(credentials, token, run.may_correct)
        if not isinstance(token, str):
            return token
        return await self._request(run, replace(credentials, token=token))

    async def _request(self, run: CallAttempt, credentials: Credentials, *, again: bool = False) -> Outcome:
        until, sent = 0.0, False
        try:
            # It is for one request, also for one that comes to nothing: by the next it is long out of date.
            permitted_at, run.permit = run.permit, None
            if permitted_at is None:
                await self._permit()
                permitted_at = self._monotonic_s()
            if not await run.guard.outlives(self._limits.timeout_s):
                return Withheld()
            # It may wait: the time that counts is that of signing.
            await run.steps.enter(Step.COMPOSE)
            until = self._now_s() + self._clock.lasts_s + _CLOCK_MARGIN_S
            request = self._provider.request(run.call, self._clock.signing_ms(), credentials)
            await run.steps.leave()
            if run.call.kind is not CallKind.LIST and not await run.record(until):
                return Unavailable(
                    "the ledger did not take the intent to send it", in_doubt=False, is_local=True
                )
            await run.steps.enter(Step.SEND)
            # Each of the two grows older while the other is waited for.
            while await run.guard.outlives(self._limits.timeout_s):
                if self._monotonic_s() - permitted_at <= _PERMIT_LASTS_S:
                    break
                # Others have waited, too: with permits of that time they would all leave at once.
                await self._permit()
                permitted_at = self._monotonic_s()
            else:
                return Withheld()
            # Other calls may find out while this one waits for what it needs, up to the very last moment.
            may_go = partial(run.may_go, again=again, first=not run.requests)
            if not may_go():
                return Withheld()
            sent_by = self._monotonic_s() + self._limits.timeout_s
            # What is not signed lasts from now on, and not from when it was built.
            until = max(until, self._now_s() + self._clock.lasts_s + _CLOCK_MARGIN_S)
            run.requests += 1
            sent = True
            failpoints.hit("about to send")
            outcome = await self._send(run, request, credentials, sent_by, may_go)
        except Withdrawn:
            run.requests -= 1
            return Withheld()
        except LedgerUnavailable as error:
            return Unavailable(f"no permit: {error}", in_doubt=False, is_local=True)
        except Exception as error:
            # A bug of ours must not take the other groups down: this one parks, and says why.
            log.exception("call ended in an unexpected error", kind=run.call.kind.value)
            message = f"internal error: {type(error).__name__}"
            outcome = Unavailable(message, is_in_doubt(None, sent=sent), is_local=True)
        finally:
            await run.steps.leave()
        run.record_outcome(outcome, until, self._now_s())
        return outcome

    async def _look(self, looking: CallAttempt) -> CallResult:
        """Read pages until it is known whether what is looked for is there."""
        listing = Listing(self._provider.capabilities.page_size, looking.call)
        attempts, permit = 0, looking.permit
        while True:
            ended = await self._make(replace(looking, call=listing.page, permit=permit))
            permit = None
            attempts += ended.attempts
            outcome = listing.take(ended.outcome)
            if outcome is not None:
                return CallResult(outcome, None, attempts)

    async def _send(
        self, run: CallAttempt, request: Request, credentials: Credentials, sent_by: float, may_go: MayGo
    ) -> Outcome:
        call = run.call
        most = _LISTING_BYTES if call.kind is CallKind.LIST else _ANSWER_BYTES

        def may_be_written() -> bool:
            if may_go():
                run.steps.writing()
                return True
            return False

        exchange = answer_to(request, self._transport, most, sent_by, may_be_written)
        answer = await run.steps.sent(exchange)
        if isinstance(answer, Unavailable):
            return answer
        await run.steps.enter(Step.READ_ANSWER)
        outcome = self._provider.outcome(call, answer, credentials)
        await run.steps.leave()
        date = http_date(answer.headers.get("date"))
        vendor_s = None if date is None else date.timestamp()
        if self._is_about_time(outcome) and self._clock.correct(vendor_s):
            ahead_s = round(self._clock.ahead_s)
            name = self._keyring.account
            log.warning("the vendor's clock is not ours", account=name, vendor_ahead_s=ahead_s)
        self._clock.note(vendor_s)
        if isinstance(outcome, Applied):
            self._note_credentials(replace(credentials, token=None))
        return outcome

    def _may_pass(self, call: Call, outcome: Outcome) -> bool:
        if isinstance(outcome, Unavailable):
            # Within a call there is no time to wait for as long as the vendor asks.
            return not outcome.retry_after_s and not self._is_spent(call, outcome)
        return isinstance(outcome, Refused) and not outcome.certain and not self._is_spent(call, outcome)

    def _is_spent(self, call: Call, outcome: Outcome) -> bool:
        """Whether it may have been carried out, and would do more if it were sent again."""
        once = call.kind is CallKind.CREATE
        once |= call.kind in UPDATES and not self._provider.capabilities.idempotent
        return once and in_doubt(outcome)

    def _is_about_time(self, outcome: Outcome) -> TypeGuard[Unavailable]:
        return isinstance(outcome, Unavailable) and outcome.code in self._provider.clock_codes

    def _note_credentials(self, credentials: Credentials) -> None:
        match self._keyring.took(credentials, self._now_s()):
            case Which.FORMER:
                log.warning(
                    "the vendor takes the account's former credentials still, not those that replaced them",
                    account=self._keyring.account,
                )
            case Which.NEW:
                log.info("the vendor takes the account's new credentials", account=self._keyring.account)

    async def close(self) -> None:
        if self._tokens is not None:
            await self._tokens.close()
        await self._transport.close()
