"""What a call needs before it may be sent, and its progress."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from numbergroup.engine.calls import (
    AccountFault,
    Applied,
    Call,
    CallKind,
    Outcome,
    Refused,
    Throttled,
    Unavailable,
    Withheld,
)
from numbergroup.engine.partition.poison_detection import Step

T = TypeVar("T")

Record = Callable[[float], Awaitable[bool]]
"""Stores durably that a request is about to be sent, which the vendor may accept until the given time (Unix
seconds). Returns False when it could not be stored, or the request must not be sent."""


class Guard(Protocol):
    """The worker's right to send: its lease."""

    async def outlives(self, seconds: float) -> bool:
        """Wait until the lease lasts for that long. Returns False when it is lost or the worker stops."""


class Steps(Protocol):
    """Records which step a call has reached, so that a worker's crash can be attributed to that step."""

    async def enter(self, step: Step, /) -> None:
        """Begin a step, which ends the one before it."""

    async def leave(self) -> None:
        """End the current step, if there is one."""

    async def sent(self, exchange: Coroutine[Any, Any, T]) -> T:
        """Return the result of `exchange`. The step ends when the request is being written, for waiting for
        the answer is not dangerous."""

    def writing(self) -> None:
        """Note that the request is being written."""


class NoSteps:
    """See `Steps`: records nothing, for calls that are not under suspicion."""

    async def enter(self, _step: Step, /) -> None:
        return

    async def leave(self) -> None:
        return

    async def sent(self, exchange: Coroutine[Any, Any, T]) -> T:
        return await exchange

    def writing(self) -> None:
        return


NO_STEPS = NoSteps()


@dataclass(slots=True, frozen=True)
class CallResult:
    """How a call ended.

    `doubt_until`: a request of it may take effect until then (Unix seconds); `None`: none may. `attempts`:
    how many requests were sent.
    """

    outcome: Outcome
    doubt_until: float | None = None
    attempts: int = 0


@dataclass(slots=True, frozen=True)
class Limits:
    """The time limits of one account, in seconds, and how many `attempts` a call may have."""

    connect_timeout_s: float = 3.0
    timeout_s: float = 8.0
    attempts: int = 3


@dataclass(slots=True, kw_only=True)
class CallAttempt:
    """The progress of one call, which is tried `max_tries` times at most.

    `permit`: when the permit of its next request was granted (monotonic seconds), or `None`. `doubt_until`:
    a request of it may take effect until then (Unix seconds). `requests`: how many were sent.
    """

    call: Call
    guard: Guard
    record: Record
    permit: float | None
    max_tries: int
    is_well: Callable[[], bool]
    may_begin: Callable[[], bool]
    must_wait: Callable[[], bool]
    steps: Steps = NO_STEPS
    doubt_until: float | None = None
    last_code: str | None = None
    requests: int = 0
    is_time_corrected: bool = False
    is_token_renewed: bool = False

    def may_send(self, *, is_first: bool, is_retry: bool) -> bool:
        """Whether the state of the account, as other calls have found it, permits the next request.

        It is the first one, or a retry after a failure, or else it corrects the time or the credentials.
        """
        if is_first:
            return self.may_begin()
        return self.is_well() if is_retry else self.may_correct()

    def may_correct(self) -> bool:
        """Whether a request may be sent that corrects the time or the credentials, or asks for a token."""
        return not self.must_wait()

    def record_outcome(self, outcome: Outcome, until: float, now: float) -> None:
        """Record how a request ended, which the vendor may accept `until` then. Times are Unix seconds."""
        if isinstance(outcome, Applied | Withheld):
            return
        self.last_code = outcome.code
        if outcome.in_doubt:
            # A request that the vendor itself answered is over and takes no effect later. But a group that it
            # created may appear in listings later.
            is_over = self.call.kind is not CallKind.CREATE and _is_from_vendor(outcome)
            self.doubt_until = max(self.doubt_until or 0.0, now if is_over else until)


def has_doubt(outcome: Outcome) -> bool:
    """Whether the call may have been carried out, although it was not answered with a success."""
    return not isinstance(outcome, Applied | Withheld) and outcome.in_doubt


def pauses_account(outcome: Outcome) -> bool:
    """Whether other calls of the account must not begin after this outcome."""
    match outcome:
        case Throttled() | AccountFault():
            return True
        case Unavailable():
            return outcome.whole_service and bool(outcome.retry_after_s)
        case _:
            return False


def _is_from_vendor(outcome: Refused | Throttled | Unavailable | AccountFault) -> bool:
    """Whether the outcome comes from the answer's body, and not only from its status or from a missing
    answer."""
    if outcome.code is None:
        return isinstance(outcome, Refused)
    return not outcome.code.startswith("http-")
