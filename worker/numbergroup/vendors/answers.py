"""Reading what vendors send back. They send anything: nothing here raises but `BadAnswer`."""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from math import isfinite
from typing import Any

from pydantic_core import from_json

from numbergroup.errors import NumbergroupError

_MESSAGE_LENGTH = 300
_LARGEST = 2**53
_ESCAPED_ASCII = "\\u00"
# Seven digits or more, however they are grouped and whatever stands beside them; but not a requestId.
# Possessive: a megabyte of digits leaves no way back to be remembered for each of them.
_NUMBERS = re.compile(r"\+?\d(?:[ ().-]?\d){6,}+")
_REQUEST_ID = re.compile(r"[0-9]{16,20}")
_CHARSET = re.compile(
    r"charset\s*=\s*[\"']?(utf-?(?:8|16|32)(?:-?[lb]e)?|gb(?:k|2312|18030)|big5(?:-hkscs)?|iso-8859-[0-9]{1,2}"
    r"|latin-?1|us-ascii|windows-125[0-8]|shift_jis|euc-(?:jp|kr))(?![\w-])",
    re.IGNORECASE,
)
_BEGINNING = 80
_LOOKED_AT = 4096
_MOST_CHECKED = 256 * 1024
_WHITE = re.compile(r"\s+")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_UNREADABLE: Any = object()


class BadAnswer(NumbergroupError):
    """The vendor says that it succeeded, but not what the call was made for."""


def json_object(body: bytes, content_type: str = "", once: str = "") -> dict[str, Any] | None:
    """Return the body as a JSON object; `None` if it is anything else.

    It may begin with a byte order mark, and be in another charset than UTF-8, if its first bytes or
    `content_type` show which. Its texts may have raw control characters and halves of surrogate pairs. A body
    that has the member `once` several times with different values counts as no object: it is unknown which
    of them is meant.
    """
    readable: bytes | str | None = body
    value = _parsed(body)
    if value is _UNREADABLE:
        readable = as_text(body, content_type)
        value = _UNREADABLE if readable is None else _parsed(readable)
    if value is _UNREADABLE and readable is not None:
        value = _parsed_leniently(readable)
    if not isinstance(value, dict) or readable is None:
        return None
    if once and len(body) <= _MOST_CHECKED and _may_have_several(readable, once):
        return None if _contradicts_itself(readable, once) else value
    return value


def _may_have_several(text: bytes | str, name: str) -> bool:
    """Whether the text may have several members of this name, also one that is written with escapes."""
    if isinstance(text, str):
        return text.count(f'"{name}"') > 1 or _ESCAPED_ASCII in text
    return text.count(f'"{name}"'.encode()) > 1 or _ESCAPED_ASCII.encode() in text


def _parsed(body: bytes | str) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _parsed_leniently(text: bytes | str) -> Any:
    """JSON with what vendors put into its texts: control characters as they are, and half a surrogate pair,
    where a text was cut off within an emoji. That becomes U+FFFD, for it can be encoded nowhere."""
    try:
        return _with_whole_characters(json.loads(text, strict=False, parse_constant=_refuse_constant))
    except (ValueError, RecursionError):
        return _UNREADABLE


def _with_whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_with_whole_characters(one) for one in value]
    if isinstance(value, dict):
        return {_with_whole_characters(name): _with_whole_characters(one) for name, one in value.items()}
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def as_text(body: bytes, content_type: str = "") -> str | None:
    """The body as a text, without a byte order mark, what cannot be decoded replaced. `None`: it has no
    charset that is known."""
    charset: str = json.detect_encoding(body)
    if charset == "utf-8":
        named = _CHARSET.search(content_type)
        charset = named[1] if named else charset
    try:
        return body.decode(charset, errors="replace").removeprefix("\ufeff")
    except (LookupError, ValueError):
        return None


def beginning_of(body: bytes, content_type: str, masked: Callable[[str], str]) -> str:
    """How a body begins that cannot be read, on one line, fit for logs and results as `masked` makes it."""
    if not body:
        return ""
    text = as_text(body[:_LOOKED_AT], content_type)
    if text is None:
        text = body[:_LOOKED_AT].decode("ascii", errors="replace")
    text = "".join(char if char.isprintable() and char != "\ufffd" else " " for char in text)
    # Masked first: a secret or a number that is cut in two could not be recognised.
    return masked(_WHITE.sub(" ", text).strip())[:_BEGINNING]


def _contradicts_itself(body: bytes | str, once: str) -> bool:
    found: list[Any] = []

    def collect(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        pairs = list(pairs)
        found[:] = [value for name, value in pairs if name == once]
        return dict(pairs)

    try:
        # The outermost object ends last.
        json.loads(body, strict=False, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return True
    return any(value != found[0] or type(value) is not type(found[0]) for value in found[1:])


def parse_integer(value: Any) -> int | None:
    """Return an int, also from a string of digits; `None` for others, and beyond JSON's safe range."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
        return None
    return value


def parse_identifier(value: Any, longest: int) -> str | None:
    """Return a code or an id, sent as a string or a number, of `longest` characters at most; or `None`."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return "".join(islice(filter(str.isprintable, str(value).strip()), longest)) or None


def parse_code(value: Any, longest: int) -> str | None:
    """Return a code as `parse_identifier` does, also from a whole number that was written as `0.0`."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST:
        value = int(value)
    return parse_identifier(value, longest)


def mask_message(text: Any, secret: str) -> str:
    """Return the vendor's message for logs and results: short, printable, without the secret and numbers."""
    if not isinstance(text, str):
        return ""
    if secret:
        text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
    text = _NUMBERS.sub(lambda found: found[0] if _REQUEST_ID.fullmatch(found[0]) else "<number>", text)
    return "".join(char if char.isprintable() else " " for char in text[:_MESSAGE_LENGTH])


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of `Retry-After`, which has seconds or a date (RFC 9110, 10.2.3).

    `now` is the sender's own time, if it is known. The result is never negative. Returns `None` for any other
    value and for infinity; the account limits long waits.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = parse_http_date(value)
        if until is None:
            return None
        seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if isfinite(seconds) else None


def parse_http_date(value: str | None) -> datetime | None:
    """Return a date in HTTP's format (RFC 9110, 5.6.7), or `None`."""
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
