"""What a vendor's failure means: its codes and texts, each in one of four classes. Pure, for any vendor.

What the vendor says beats what HTTP says, and of what it says a text beats the code: vendors use one code for
many things. What nobody knows is `unknown`; an HTTP status without a verdict in the body is the code
`http-503`, which means what HTTP says unless it is put in a class.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from worker.engine.model import AccountFault, Call, CallKind, Outcome, Refused, Throttled, Unavailable
from worker.providers.answers import http_date, retry_after_s
from worker.providers.port import Answer

_TOO_MANY = 429
_WRONG_PATH = frozenset({404, 405, 410})
_CONTENT = frozenset({400, 411, 413, 414, 415, 422, 431})


class FailureClass(enum.StrEnum):
    """The names are those of the settings' values."""

    THROTTLED = "throttled"
    """Too fast: the account pauses for as long as the vendor says."""
    RETRYABLE = "retryable"
    """It may pass by itself."""
    ACCOUNT_FAULT = "account-fault"
    """No call of the account can work."""
    REFUSED = "refused"
    """It is what this call says that the vendor does not take."""


@dataclass(slots=True, frozen=True)
class Classes:
    """Of one account. `texts` are sought in the vendor's message, in any case, the first one that is found
    decides. `unknown`: what a code means that is in no class; REFUSED means after a few tries."""

    codes: Mapping[str, FailureClass] = field(default_factory=dict)
    texts: Mapping[str, FailureClass] = field(default_factory=dict)
    unknown: FailureClass = FailureClass.REFUSED

    def verdict(
        self, answer: Answer, code: str | None, text: str, message: str, request_id: str | None
    ) -> Outcome:
        """The outcome of a failure that the vendor states in its body. `text` is what it says of it, as it
        came, `message` as much of that as may be shown."""
        found = self._class_of(answer.status, code, text)
        match found or self.unknown:
            case FailureClass.THROTTLED:
                return Throttled(_pause_s(answer), code, message)
            case FailureClass.RETRYABLE:
                return Unavailable(message, in_doubt=False, code=code)
            case FailureClass.ACCOUNT_FAULT:
                return AccountFault(code, message)
            case FailureClass.REFUSED:
                return Refused(code, message, request_id, certain=found is not None)
            case other:
                assert_never(other)

    def silence(self, call: Call, answer: Answer, *, lists: bool = True) -> Outcome:
        """The outcome of an answer without a verdict of the vendor's in its body: its HTTP status decides."""
        status, code = answer.status, f"http-{answer.status}"
        message = f"HTTP {status} without a verdict in the body{_hint(status)}"
        # A gateway says 503 for what it did not pass on; after anything else the call may have been applied.
        # For a create "perhaps" is dangerous: it is looked for first, where the vendor `lists` groups. Where
        # it does not, an outage would fail every create.
        in_doubt = status != 503 or (lists and call.kind is CallKind.CREATE)
        # What HTTP itself calls a redirect or an error of ours was not applied.
        perhaps = in_doubt and not 300 <= status < 500
        match self.codes.get(code) or _class_of_status(status):
            case FailureClass.THROTTLED:
                return Throttled(_pause_s(answer), code, message, in_doubt=perhaps)
            case FailureClass.RETRYABLE:
                return Unavailable(message, in_doubt=in_doubt, code=code)
            case FailureClass.ACCOUNT_FAULT:
                return AccountFault(code, message, in_doubt=perhaps)
            case FailureClass.REFUSED:
                return Refused(code, message, in_doubt=perhaps)
            case other:
                assert_never(other)

    def _class_of(self, status: int, code: str | None, text: str) -> FailureClass | None:
        if (
            status == _TOO_MANY
            and self.codes.get("http-429", FailureClass.THROTTLED) is FailureClass.THROTTLED
        ):
            return FailureClass.THROTTLED
        said = text.lower()
        by_text = next((found for sought, found in self.texts.items() if sought.lower() in said), None)
        return by_text or (None if code is None else self.codes.get(code))


def _class_of_status(status: int) -> FailureClass:
    """RFC 9110, 15, as far as it says whose fault it is."""
    if status == _TOO_MANY:
        return FailureClass.THROTTLED
    if status in (401, 403) or 300 <= status < 400 or status in _WRONG_PATH:
        return FailureClass.ACCOUNT_FAULT
    return FailureClass.REFUSED if status in _CONTENT else FailureClass.RETRYABLE


def _hint(status: int) -> str:
    if 300 <= status < 400:
        return ": a redirect is not followed; check BASE_URL"
    return ": check BASE_URL" if status in _WRONG_PATH else ""


def _pause_s(answer: Answer) -> float | None:
    """For how long the vendor asks to be left alone; a date is measured on its own clock, if it tells it."""
    return retry_after_s(answer.headers.get("retry-after"), http_date(answer.headers.get("date")))
