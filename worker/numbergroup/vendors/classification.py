"""Classifies a vendor's failure by its status, code and text. Pure, for any vendor.

Status and body are read together. The first of these that is *known* in the body decides:

1. one of the account's texts, for vendors use one code for many things;
2. a code that is a known refusal;
3. the usual wording of a rate limit;
4. any other known code.

Anything else is `unknown`, but never against the HTTP status: if that says whose fault it is, an unknown code
does not blame the command. A status that decides becomes a code such as `http-503`, which means what HTTP
says unless the account puts it in a class. A success in the body never overrides the status, but leaves in
doubt what was done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, assert_never

from numbergroup.engine.calls import AccountFault, Call, CallKind, Refused, Throttled, Unavailable
from numbergroup.vendors.answers import parse_http_date, parse_retry_after
from numbergroup.vendors.certainty import FailureClass as FailureClass
from numbergroup.vendors.certainty import is_in_doubt
from numbergroup.vendors.command_words import mask_command_words
from numbergroup.vendors.existing_groups import is_group_exists_text
from numbergroup.vendors.port import Answer
from numbergroup.vendors.rate_limits import Wording, read_rate_wording

Failure = AccountFault | Refused | Throttled | Unavailable

_TOO_MANY = 429
_ACCOUNT_STATUSES = frozenset({401, 403, 404, 405, 410})
"""Without permission, or with a path that does not exist, no call of the account can succeed."""
_PATH_STATUSES = frozenset({404, 405, 410})
_CONTENT_STATUSES = frozenset({400, 411, 413, 414, 415, 422, 431})
_TRANSIENT_STATUSES = frozenset({402, 407, 408, 425})
"""No command is to blame for a missing payment, a proxy, or a slow request."""
_COMMAND_STATUSES = frozenset({400, 409, 422})
"""With these, as with a success, the body may blame the command."""


@dataclass(slots=True, frozen=True)
class StatedFailure:
    """What the body of an answer states about a failure.

    `code` is the vendor's. `text` distinguishes failures; `message` is the masked text for logs and results.
    `nothing_done`: the vendor documents that nothing was done.
    """

    code: str | None
    text: str
    message: str
    request_id: str | None = None
    nothing_done: bool = False


class _Reading(NamedTuple):
    """What the body states. `known` is its class, or `None` for an unknown code and text.

    `busy`: it only says that the vendor is busy. `later`: a later try may succeed. `exists`: the group to
    create exists.
    """

    known: FailureClass | None = None
    busy: bool = False
    later: bool = False
    exists: bool = False


@dataclass(slots=True, frozen=True)
class FailureClassifier:
    """Classifies the failures of one account.

    `texts` are searched for in the vendor's message, ignoring case; the first match decides. `unknown` is the
    class of a code that is in no class; REFUSED applies after a few tries. `rate_wording`: the usual wording
    of a rate limit is recognised as well.
    """

    codes: Mapping[str, FailureClass] = field(default_factory=dict)
    texts: Mapping[str, FailureClass] = field(default_factory=dict)
    unknown: FailureClass = FailureClass.REFUSED
    rate_wording: bool = True

    def classify(
        self,
        call: Call,
        answer: Answer,
        stated: StatedFailure | None = None,
        *,
        beginning: str = "",
        can_list: bool = True,
    ) -> Failure:
        """Return the outcome of an answer that is not a success, from its status and its body.

        `stated` is `None` for a body that cannot be read or states nothing; then `beginning` is its masked
        beginning. `can_list`: the vendor can list groups, so that a group whose creation is in doubt can be
        looked up.
        """
        reading = _Reading() if stated is None else self._read_statement(call, answer, stated)
        found, code, by_status = self._find_class(answer.status, stated, reading)
        wait_s = _parse_pause_s(answer)
        may_pass = wait_s is not None or reading.later
        if found is FailureClass.REFUSED and reading.known is None and may_pass:
            # The vendor says that a later try may succeed: that is not a refusal.
            found = FailureClass.RETRYABLE
        in_doubt = is_in_doubt(
            answer.status,
            reading.known,
            documented=stated is not None and stated.nothing_done,
            busy=reading.busy,
            can_look_up=can_list and call.kind is CallKind.CREATE,
        )
        message = _describe_unstated(answer.status, beginning) if stated is None else stated.message
        if stated is not None and by_status:
            message = _describe_status(answer.status, stated)
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

    def classify_contradiction(self, call: Call, answer: Answer, message: str) -> Failure:
        """Return the outcome of a success in the body beside a status of failure. `message` is masked."""
        failure = self.classify(call, answer)
        shown = f"HTTP {answer.status} beside a success in the body{message and f': {message}'}"
        if isinstance(failure, Refused):
            return replace(failure, message=shown, in_doubt=True, certain=False)
        return replace(failure, message=shown, in_doubt=True)

    def is_failure_text(self, call: Call, text: str) -> bool:
        """Whether the text alone states a known failure, without a code."""
        text = mask_command_words(text, call)
        return self._match_texts(text) is not None or self._read_wording(text) is Wording.PLAIN

    def _find_class(
        self, status: int, stated: StatedFailure | None, reading: _Reading
    ) -> tuple[FailureClass, str | None, bool]:
        """Return the class, the code that decides it, and whether that code is the HTTP status."""
        http = f"http-{status}"
        own = self.codes.get(http)
        if status == _TOO_MANY and own in (None, FailureClass.THROTTLED):
            return FailureClass.THROTTLED, *((http, True) if stated is None else (stated.code, False))
        if reading.known is not None and stated is not None:
            return reading.known, stated.code, False
        if stated is None or _is_decisive(status) or (own is not None and status >= 300):
            return own or _classify_status(status), http, True
        return self.unknown, stated.code, False

    def _read_statement(self, call: Call, answer: Answer, stated: StatedFailure) -> _Reading:
        text = mask_command_words(stated.text, call)
        by_text = self._match_texts(text)
        if by_text is not None:
            return _Reading(by_text)
        wording = self._read_wording(text)
        by_code = None if stated.code is None else self.codes.get(stated.code)
        if wording is Wording.PLAIN and by_code is not FailureClass.REFUSED:
            return _Reading(FailureClass.THROTTLED)
        exists = call.kind is CallKind.CREATE and is_group_exists_text(text)
        if by_code is not None:
            return _Reading(by_code, exists=exists)
        if exists and (answer.is_success or answer.status in _COMMAND_STATUSES):
            return _Reading(FailureClass.REFUSED, exists=True)
        if wording in (Wording.LIKELY, Wording.BUSY):
            return _Reading(FailureClass.THROTTLED, busy=wording is Wording.BUSY)
        return _Reading(later=wording is Wording.LATER)

    def _match_texts(self, text: str) -> FailureClass | None:
        lowered = text.lower()
        return next((found for part, found in self.texts.items() if part.lower() in lowered), None)

    def _read_wording(self, text: str) -> Wording | None:
        return read_rate_wording(text) if self.rate_wording else None


def _is_decisive(status: int) -> bool:
    """Whether the HTTP status says whose fault it is, whatever unknown code the body has."""
    return (
        300 <= status < 400 or status in _ACCOUNT_STATUSES or status in _TRANSIENT_STATUSES or status >= 500
    )


def _classify_status(status: int) -> FailureClass:
    """Return the class of a status by RFC 9110, 15."""
    if status == _TOO_MANY:
        return FailureClass.THROTTLED
    if 300 <= status < 400 or status in _ACCOUNT_STATUSES:
        return FailureClass.ACCOUNT_FAULT
    return FailureClass.REFUSED if status in _CONTENT_STATUSES else FailureClass.RETRYABLE


def _describe_unstated(status: int, beginning: str) -> str:
    # A gateway's page for its own status tells nothing more.
    is_informative = beginning and (status < 300 or beginning.startswith("{"))
    begins = f"; it begins with {beginning!r}" if is_informative else ""
    return f"HTTP {status} without a verdict in the body{_get_hint(status)}{begins}"


def _describe_status(status: int, stated: StatedFailure) -> str:
    message = stated.message or f"HTTP {status}{_get_hint(status)}"
    return message if stated.code in (None, str(status)) else f"{message} (code {stated.code})"


def _get_hint(status: int) -> str:
    if 300 <= status < 400:
        return ": a redirect is not followed; check BASE_URL"
    return ": check BASE_URL" if status in _PATH_STATUSES else ""


def _parse_pause_s(answer: Answer) -> float | None:
    """Return the seconds of `Retry-After`; a date is compared with the vendor's `Date`, if there is one."""
    return parse_retry_after(answer.headers.get("retry-after"), parse_http_date(answer.headers.get("date")))
