"""Reading what vendors send back. They send anything: nothing here raises but `BadAnswer`."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from math import isfinite
from typing import Any

from pydantic_core import from_json

_MESSAGE_LENGTH = 300
_LARGEST = 2**53
# Seven digits or more, however they are grouped and whatever stands beside them; but not a requestId.
# Possessive: a megabyte of digits leaves no way back to be remembered for each of them.
_NUMBERS = re.compile(r"\+?\d(?:[ ().-]?\d){6,}+")
_REQUEST_ID = re.compile(r"[0-9]{16,20}")


class BadAnswer(Exception):
    """The vendor says that it succeeded, but not what the call was made for."""


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object; `None` for everything else."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def whole_number(value: Any) -> int | None:
    """An int, also when it was sent as a string; `None` for one that JSON does not carry safely."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
        return None
    return value


def identifier(value: Any, longest: int) -> str | None:
    """A code or an id, which vendors send as a string or as a number; cut off after `longest` characters."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return "".join(islice(filter(str.isprintable, str(value).strip()), longest)) or None


def scrubbed(text: Any, secret: str) -> str:
    """The vendor's message, fit for logs and results: short, printable, without secret or numbers."""
    if not isinstance(text, str):
        return ""
    if secret:
        text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
    text = _NUMBERS.sub(lambda found: found[0] if _REQUEST_ID.fullmatch(found[0]) else "<number>", text)
    return "".join(one if one.isprintable() else " " for one in text[:_MESSAGE_LENGTH])


def retry_after_s(value: str | None, now: datetime | None = None) -> float | None:
    """`Retry-After` in seconds, whether it came as seconds or as a date (RFC 9110, 10.2.3).

    `now` is the time of who sent it, by its own clock, as far as it is known. Never negative, and nothing
    for what is neither or without end; how long is too long is for the account to say.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = http_date(value)
        if until is None:
            return None
        seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if isfinite(seconds) else None


def http_date(value: str | None) -> datetime | None:
    """A date as HTTP writes it (RFC 9110, 5.6.7); `None` when it is none."""
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
