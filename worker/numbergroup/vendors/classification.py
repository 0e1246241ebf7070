"""What a vendor's failure means: its status, codes and texts, each in one of four classes. Pure, for any
vendor.

Status and body are read together. What is *known* of the body decides: one of the account's texts before the
code, for vendors use one code for many things; then a code that is a known refusal; then the usual wording of
a rate limit; then any other code. What nobody knows is `unknown`, but never against the HTTP status: where
that says whose fault it is, an unknown code does not make it the command's. A status that decides is the code
`http-503`, which means what HTTP says unless it is put in a class. A success in the body never decides
against the status, but leaves in doubt what was done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, assert_never

from numbergroup.engine.calls import AccountFault, Call, CallKind, Refused, Throttled, Unavailable
from numbergroup.vendors.answers import http_date, retry_after_s
from numbergroup.vendors.certainty import FailureClass as FailureClass
from numbergroup.vendors.certainty import is_in_doubt
from numbergroup.vendors.existing_groups import says_group_exists
from numbergroup.vendors.own_words import without_own_words
from numbergroup.vendors.port import Answer
from numbergroup.vendors.rate_limits import Wording, rate_wording

Failure = AccountFault | Refused | Throttled | Unavailable

_TOO_MANY = 429
_ACCOUNTS = frozenset({401, 403, 404, 405, 410})
"""Without permission, or a path that exists, no call of the account can work."""
_PATH = frozenset({404, 405, 410})
_CONTENT = frozenset({400, 411, 413, 414, 415, 422, 431})
_MAY_PASS = frozenset({402, 407, 408, 425})
"""No command is to blame for what is not paid, a proxy, or the time that it took."""
_OF_COMMANDS = frozenset({400, 409, 422})
"""With these, as with a success, the body may say that the command is to blame."""


@dataclass(slots=True, frozen=True)
class Stated:
    """What the body of an answer states about the failure: the vendor's code, the text that tells failures
    apart, and the message as it may be shown. `nothing_done`: by the vendor's documentation, nothing was
    done."""

    code: str | None
    text: str
    message: str
    request_id: str | None = None
    nothing_done: bool = False


class _Reading(NamedTuple):
    """The class of what the body states, as far as it is known. `busy`: it only says that the vendor is busy;
    `later`: that a later try may go through; `exists`: that the group to create is there."""

    known: FailureClass | None = None
    busy: bool = False
    later: bool = False
    exists: bool = False


@dataclass(slots=True, frozen=True)
class FailureClassifier:
    """Of one account. `texts` are sought in the vendor's message, in any case, the first one that is found
    decides. `unknown`: what a code means that is in no class; REFUSED means after a few tries.
    `rate_wording`: whether the usual ways to speak of a rate limit are understood, too.
    """

    codes: Mapping[str, FailureClass] = field(default_factory=dict)
    texts: Mapping[str, FailureClass] = field(default_factory=dict)
    unknown: FailureClass = FailureClass.REFUSED
    rate_wording: bool = True

    def outcome(
        self,
        call: Call,
        answer: Answer,
        stated: Stated | None = None,
        *,
        beginning: str = "",
        lists: bool = True,
    ) -> Failure:
        """The outcome of an answer that is no success, from its status and what its body states, together.

        `stated`: `None` for a body that cannot be read, or says nothing; then `beginning` is how it begins,
        as it may be shown. `lists`: the vendor can list groups, so
        that one whose creation is in doubt can be looked up.
        """
        reading = _Reading() if stated is None else self._read(call, answer, stated)
        found, code, by_status = self._class_of(answer.status, stated, reading)
        wait_s = _pause_s(answer)
        may_pass = wait_s is not None or reading.later
        if found is FailureClass.REFUSED and reading.known is None and may_pass:
            # What can be tried again later is not refused.
            found = FailureClass.RETRYABLE
        in_doubt = is_in_doubt(
            answer.status,
            reading.known,
            documented=stated is not None and stated.nothing_done,
            busy=reading.busy,
            can_look_up=lists and call.kind is CallKind.CREATE,
        )
        message = _silence(answer.status, beginning) if stated is None else stated.message
        if stated is not None and by_status:
            message = _of_status(answer.status, stated)
        match found:
            case FailureClass.THROTTLED:
                return Throttled(wait_s, code, message, in_doubt=in_doubt)
            case FailureClass.RETRYABLE:
                whole = wait_s is not None and answer.status >= 500
                return Unavailable(message, in_doubt, code, retry_after_s=wait_s, whole_service=whole)
            case FailureClass.ACCOUNT_FAULT:
                return AccountFault(code, message, in_doubt, wait_s)
            case FailureClass.REFUSED:
                request_id = None if stated is None else stated.request_id
                certain = by_status or reading.known is not None
                return Refused(code, message, request_id, certain, in_doubt, reading.exists)
            case other:
                assert_never(other)

    def contradiction(self, call: Call, answer: Answer, message: str) -> Failure:
        """The outcome of a success in the body (`message`, as it may be shown) beside a status of failure."""
        failure = self.outcome(call, answer)
        shown = f"HTTP {answer.status} beside a success in the body{message and f': {message}'}"
        if isinstance(failure, Refused):
            return replace(failure, message=shown, in_doubt=True, certain=False)
        return replace(failure, message=shown, in_doubt=True)

    def says_failure(self, call: Call, text: str) -> bool:
        """Whether the text alone tells what failed, without a code."""
        text = without_own_words(text, call)
        return self._of_texts(text) is not None or self._wording(text) is Wording.PLAIN

    def _class_of(
        self, status: int, stated: Stated | None, reading: _Reading
    ) -> tuple[FailureClass, str | None, bool]:
        """What is the matter, the code that tells so, and whether that is HTTP's status."""
        http = f"http-{status}"
        own = self.codes.get(http)
        if status == _TOO_MANY and own in (None, FailureClass.THROTTLED):
            return FailureClass.THROTTLED, *((http, True) if stated is None else (stated.code, False))
        if reading.known is not None and stated is not None:
            return reading.known, stated.code, False
        if stated is None or _decides(status) or (own is not None and status >= 300):
            return own or _class_of_status(status), http, True
        return self.unknown, stated.code, False

    def _read(self, call: Call, answer: Answer, stated: Stated) -> _Reading:
        text = without_own_words(stated.text, call)
        by_text = self._of_texts(text)
        if by_text is not None:
            return _Reading(by_text)
        wording = self._wording(text)
        by_code = None if stated.code is None else self.codes.get(stated.code)
        if wording is Wording.PLAIN and by_code is not FailureClass.REFUSED:
            return _Reading(FailureClass.THROTTLED)
        exists = call.kind is CallKind.CREATE and says_group_exists(text)
        if by_code is not None:
            return _Reading(by_code, exists=exists)
        if exists and (answer.is_success or answer.status in _OF_COMMANDS):
            return _Reading(FailureClass.REFUSED, exists=True)
        if wording in (Wording.LIKELY, Wording.BUSY):
            return _Reading(FailureClass.THROTTLED, busy=wording is Wording.BUSY)
        return _Reading(later=wording is Wording.LATER)

    def _of_texts(self, text: str) -> FailureClass | None:
        lowered = text.lower()
        return next((found for sought, found in self.texts.items() if sought.lower() in lowered), None)

    def _wording(self, text: str) -> Wording | None:
        return rate_wording(text) if self.rate_wording else None


def _decides(status: int) -> bool:
    """Whether HTTP's status says whose fault it is, whatever unknown code the body has beside it."""
    return 300 <= status < 400 or status in _ACCOUNTS or status in _MAY_PASS or status >= 500


def _class_of_status(status: int) -> FailureClass:
    """RFC 9110, 15, as far as it says whose fault it is."""
    if status == _TOO_MANY:
        return FailureClass.THROTTLED
    if 300 <= status < 400 or status in _ACCOUNTS:
        return FailureClass.ACCOUNT_FAULT
    return FailureClass.REFUSED if status in _CONTENT else FailureClass.RETRYABLE


def _silence(status: int, beginning: str) -> str:
    # A gateway's page to its own status tells nothing more.
    is_telling = beginning and (status < 300 or beginning.startswith("{"))
    begins = f"; it begins with {beginning!r}" if is_telling else ""
    return f"HTTP {status} without a verdict in the body{_hint(status)}{begins}"


def _of_status(status: int, stated: Stated) -> str:
    message = stated.message or f"HTTP {status}{_hint(status)}"
    return message if stated.code in (None, str(status)) else f"{message} (code {stated.code})"


def _hint(status: int) -> str:
    if 300 <= status < 400:
        return ": a redirect is not followed; check BASE_URL"
    return ": check BASE_URL" if status in _PATH else ""


def _pause_s(answer: Answer) -> float | None:
    """For how long the vendor asks to be left alone; a date is measured on its own clock, if it tells it."""
    return retry_after_s(answer.headers.get("retry-after"), http_date(answer.headers.get("date")))
