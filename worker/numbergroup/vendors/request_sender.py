"""Sends one request of a call: with a permit, a signature and a check of the lease of its own."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeGuard

from numbergroup.engine.calls import Applied, CallKind, Outcome, Unavailable, Withheld
from numbergroup.engine.partition.poison_detection import Step
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability import failpoints
from numbergroup.observability.logging import get_logger
from numbergroup.vendors.answers import parse_http_date
from numbergroup.vendors.attempt import CallAttempt
from numbergroup.vendors.certainty import is_in_doubt
from numbergroup.vendors.http import MaySend, Transport, Withdrawn, try_exchange
from numbergroup.vendors.keyring import Keyring, Version
from numbergroup.vendors.port import Credentials, Provider, Request
from numbergroup.vendors.vendor_clock import VendorClock

_MAX_ANSWER_BYTES = 1024 * 1024
_MAX_LISTING_BYTES = 64 * 1024 * 1024
_CLOCK_MARGIN_S = 1.0
_PERMIT_LASTS_S = 0.05

log = get_logger("calls")


class RequestSender:
    """Sends the requests of one account.

    `permit` returns when one request may be sent, or raises `LedgerUnavailable`. `timeout_s` is the time that
    one exchange may take. `wall_s` is the machine's clock; doubts are counted on `now_s`, which never steps
    back. Both are in Unix seconds.
    """

    def __init__(
        self,
        provider: Provider,
        keyring: Keyring,
        transport: Transport,
        *,
        timeout_s: float,
        permit: Callable[[], Awaitable[object]],
        wall_s: Callable[[], float],
        now_s: Callable[[], float],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._keyring = keyring
        self._transport = transport
        self._timeout_s = timeout_s
        self._permit = permit
        self._now_s = now_s
        self._monotonic_s = monotonic_s
        self._clock = VendorClock(wall_s, provider.acceptance_window_s)

    def accepted_until(self) -> float:
        """Return until when the vendor may accept a request that is signed now (Unix seconds)."""
        return self._now_s() + self._clock.validity_s + _CLOCK_MARGIN_S

    def is_clock_error(self, outcome: Outcome) -> TypeGuard[Unavailable]:
        """Whether the vendor refused the time of the signature."""
        return isinstance(outcome, Unavailable) and outcome.code in self._provider.clock_codes

    async def send(
        self, attempt: CallAttempt, credentials: Credentials, *, is_retry: bool = False
    ) -> Outcome:
        """Send one request and record its outcome in `attempt`. Raises nothing.

        `is_retry`: it follows a failure, and corrects neither the time nor the credentials.
        """
        until, sent = 0.0, False
        try:
            # A permit is for one request, even one that is not sent: by the next request it is out of date.
            permitted_at, attempt.permit = attempt.permit, None
            if permitted_at is None:
                await self._permit()
                permitted_at = self._monotonic_s()
            if not await attempt.guard.outlives(self._timeout_s):
                return Withheld()
            # The guard may have waited: the time that counts is that of signing.
            await attempt.steps.enter(Step.COMPOSE)
            until = self.accepted_until()
            request = self._provider.build_request(attempt.call, self._clock.get_signing_ms(), credentials)
            await attempt.steps.leave()
            if attempt.call.kind is not CallKind.LIST and not await attempt.record(until):
                return Unavailable(
                    "the ledger did not take the intent to send it", in_doubt=False, is_local=True
                )
            await attempt.steps.enter(Step.SEND)
            # The permit ages during the wait for the lease, and the lease during the wait for a permit.
            while await attempt.guard.outlives(self._timeout_s):
                if self._monotonic_s() - permitted_at <= _PERMIT_LASTS_S:
                    break
                # Other calls have waited as well: with their old permits all would be sent at once.
                await self._permit()
                permitted_at = self._monotonic_s()
            else:
                return Withheld()
            # Another call may meet a fault of the account at any time until this request is written.
            may_send = partial(attempt.may_send, is_retry=is_retry, is_first=not attempt.requests)
            if not may_send():
                return Withheld()
            send_deadline = self._monotonic_s() + self._timeout_s
            # A request without a signature is accepted for as long after it is sent, not after it is built.
            until = max(until, self.accepted_until())
            attempt.requests += 1
            sent = True
            failpoints.hit("about to send")
            outcome = await self._exchange(
                attempt, request, credentials, send_deadline=send_deadline, may_send=may_send
            )
        except Withdrawn:
            attempt.requests -= 1
            return Withheld()
        except LedgerUnavailable as error:
            return Unavailable(f"no permit: {error}", in_doubt=False, is_local=True)
        except Exception as error:
            # A bug in the worker must not stop the other groups: this group is parked with the reason.
            log.exception("call ended in an unexpected error", kind=attempt.call.kind.value)
            message = f"internal error: {type(error).__name__}"
            outcome = Unavailable(message, is_in_doubt(None, sent=sent), is_local=True)
        finally:
            await attempt.steps.leave()
        attempt.record_outcome(outcome, until, self._now_s())
        return outcome

    async def _exchange(
        self,
        attempt: CallAttempt,
        request: Request,
        credentials: Credentials,
        *,
        send_deadline: float,
        may_send: MaySend,
    ) -> Outcome:
        """Send `request` and read its answer. Raises `Withdrawn` when it was not sent."""
        max_bytes = _MAX_LISTING_BYTES if attempt.call.kind is CallKind.LIST else _MAX_ANSWER_BYTES

        def may_write() -> bool:
            if may_send():
                attempt.steps.writing()
                return True
            return False

        exchange = try_exchange(request, self._transport, max_bytes, send_deadline, may_write)
        answer = await attempt.steps.sent(exchange)
        if isinstance(answer, Unavailable):
            return answer
        await attempt.steps.enter(Step.READ_ANSWER)
        outcome = self._provider.parse_answer(attempt.call, answer, credentials)
        await attempt.steps.leave()
        date = parse_http_date(answer.headers.get("date"))
        vendor_s = None if date is None else date.timestamp()
        if self.is_clock_error(outcome) and self._clock.correct(vendor_s):
            ahead_s = round(self._clock.ahead_s)
            name = self._keyring.account
            log.warning("the vendor's clock is not ours", account=name, vendor_ahead_s=ahead_s)
        self._clock.record_vendor_time(vendor_s)
        if isinstance(outcome, Applied):
            self._record_accepted(replace(credentials, token=None))
        return outcome

    def _record_accepted(self, credentials: Credentials) -> None:
        match self._keyring.record_accepted(credentials, self._now_s()):
            case Version.PREVIOUS:
                log.warning(
                    "the vendor takes the account's former credentials still, not those that replaced them",
                    account=self._keyring.account,
                )
            case Version.NEW:
                log.info("the vendor takes the account's new credentials", account=self._keyring.account)
