"""Whether a call that failed may have been carried out all the same: the one place that decides it. Pure."""

import enum


class FailureClass(enum.StrEnum):
    """What a failure means. The names are those of the settings' values."""

    THROTTLED = "throttled"
    """Too fast: the account pauses for as long as the vendor says."""
    RETRYABLE = "retryable"
    """It may pass by itself."""
    ACCOUNT_FAULT = "account-fault"
    """No call of the account can work."""
    REFUSED = "refused"
    """It is what this call says that the vendor does not take."""


_UNAVAILABLE = 503
_PERHAPS_APPLIED = frozenset({408, 409, 425})
"""The statuses of 4xx that do not say that the request was not carried out: it took too long, or it met
another request, perhaps an earlier one of its own (RFC 9110, 15.5.9, 15.5.10; RFC 8470, 5.2)."""


def is_in_doubt(
    status: int | None,
    known: FailureClass | None = None,
    *,
    sent: bool = True,
    documented: bool = False,
    busy: bool = False,
    can_look_up: bool = False,
) -> bool:
    """Whether a failed call may have been carried out, or may be yet.

    `status`: the answer's HTTP status, `None` when there was none. `known`: the class of what its body
    states, by a known code or text; `None` when it states nothing, or nothing known. `documented`: with what
    its body states nothing is done, by the vendor's documentation. `busy`: the body only says that the vendor
    is busy. `can_look_up`: doubt costs a look-up and no more, so that even an unlikely one is worth it.

    It is in doubt unless that is certain: the request was not sent; the vendor refused it in words or by a
    code that is known; a 4xx other than 408, 409 and 425; a 503 or a redirect, unless the body says
    otherwise.
    """
    if not sent:
        return False
    if status is None:
        return True
    if documented or known in (FailureClass.REFUSED, FailureClass.ACCOUNT_FAULT):
        return False
    if known is FailureClass.THROTTLED:
        # A rate limit is checked before the work is done; a server error says that something broke in it.
        return busy or (status >= 500 and status != _UNAVAILABLE)
    if known is FailureClass.RETRYABLE:
        return True
    if status == _UNAVAILABLE or 300 <= status < 400:
        return can_look_up
    return not 400 <= status < 500 or status in _PERHAPS_APPLIED
