"""Decides whether a failed call may have been carried out all the same. Pure."""

import enum


class FailureClass(enum.StrEnum):
    """What a failure means. The names are those of the settings' values."""

    THROTTLED = "throttled"
    """Calls come too fast: the account pauses for as long as the vendor asks."""
    RETRYABLE = "retryable"
    """The failure may pass by itself."""
    ACCOUNT_FAULT = "account-fault"
    """No call of the account can succeed."""
    REFUSED = "refused"
    """The vendor does not accept the content of this call."""


_UNAVAILABLE = 503
_PERHAPS_APPLIED = frozenset({408, 409, 425})
"""The 4xx statuses with which the request may have been carried out: it took too long, or it conflicted with
another request, perhaps with an earlier copy of itself (RFC 9110, 15.5.9, 15.5.10; RFC 8470, 5.2)."""


def is_in_doubt(
    status: int | None,
    known: FailureClass | None = None,
    *,
    sent: bool = True,
    documented: bool = False,
    busy: bool = False,
    can_look_up: bool = False,
) -> bool:
    """Whether a failed call may have been carried out, or may take effect later.

    - `status`: the answer's HTTP status; `None`: there was no answer.
    - `known`: the class of a known code or text in the body; `None`: the body has none.
    - `sent`: whether the request was sent.
    - `documented`: the vendor documents that nothing is done with what the body states.
    - `busy`: the body only says that the vendor is busy.
    - `can_look_up`: the doubt costs only a look-up, so that even an unlikely one counts.

    A call is in doubt unless one of these holds: the request was not sent; the vendor refused it by a known
    text or code; the status is a 4xx other than 408, 409 and 425; it is a 503 or a redirect, unless the body
    says otherwise.
    """
    if not sent:
        return False
    if status is None:
        return True
    if documented or known in (FailureClass.REFUSED, FailureClass.ACCOUNT_FAULT):
        return False
    if known is FailureClass.THROTTLED:
        # A rate limit is checked before the work is done; a server error says that the work itself failed.
        return busy or (status >= 500 and status != _UNAVAILABLE)
    if known is FailureClass.RETRYABLE:
        return True
    if status == _UNAVAILABLE or 300 <= status < 400:
        return can_look_up
    return not 400 <= status < 500 or status in _PERHAPS_APPLIED
