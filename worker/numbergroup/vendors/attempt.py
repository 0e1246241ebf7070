"""What a call needs before it may be sent, and how far it has come."""

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
"""Makes it durable that a request is about to be sent, which the vendor can accept until the given time
(Unix seconds). False: it could not be written, or must not be sent."""


class Guard(Protocol):
    """The worker's right to send: its lease."""

    async def outlives(self, seconds: float) -> bool:
        """Wait until the lease lasts for that long; False when it is lost or the worker stops."""


class Steps(Protocol):
    """Learns which step a call has reached, so that a worker's death can be put down to that step."""

    async def enter(self, step: Step, /) -> None:
        """A step begins, and the one before it is over."""

    async def leave(self) -> None:
        """The step is over, if there is one."""

    async def sent(self, exchange: Coroutine[Any, Any, T]) -> T:
        """The result of `exchange`. The step is over as soon as the request is being written: to wait is not
        dangerous."""

    def writing(self) -> None:
        """The request is written now."""


class NoSteps:
    """See `Steps`: for calls that nothing is suspected of."""

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


@dataclass(slots=True)
class CallAttempt:
    """One call on its way, to be tried `most` times. `permit`: when that of its next request was granted, if
    it was."""

    call: Call
    guard: Guard
    record: Record
    permit: float | None
    most: int
    is_well: Callable[[], bool]
    may_begin: Callable[[], bool]
    must_wait: Callable[[], bool]
    steps: Steps = NO_STEPS
    doubt_until: float | None = None
    last_code: str | None = None
    requests: int = 0
    corrected: bool = False
    renewed: bool = False

    def may_go(self, *, first: bool, again: bool) -> bool:
        """Whether its next request may be sent, as far as others of the account have found out by now: the
        `first` one, one that is made `again` after a failure, or one that corrects our time or credentials.
        """
        if first:
            return self.may_begin()
        return self.is_well() if again else self.may_correct()

    def may_correct(self) -> bool:
        """Whether a request may be sent that corrects our time or credentials, or asks for a token."""
        return not self.must_wait()

    def record_outcome(self, outcome: Outcome, until: float, now: float) -> None:
        """Record how a request of it ended, which the vendor can accept `until` then (Unix seconds)."""
        if isinstance(outcome, Applied | Withheld):
            return
        self.last_code = outcome.code
        if outcome.in_doubt:
            # What the vendor itself has answered is over, done or not: nothing of it comes later. But a group
            # that was made may be listed later.
            is_over = self.call.kind is not CallKind.CREATE and _is_the_vendors(outcome)
            self.doubt_until = max(self.doubt_until or 0.0, now if is_over else until)


def in_doubt(outcome: Outcome) -> bool:
    """Whether the call may have been carried out, although that is not what it was answered."""
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


def _is_the_vendors(outcome: Refused | Throttled | Unavailable | AccountFault) -> bool:
    """Whether the answer's body says so, and not only its status, or nothing."""
    if outcome.code is None:
        return isinstance(outcome, Refused)
    return not outcome.code.startswith("http-")
