"""Masks phone numbers: `852*****114`.

Only digits are masked, so that an error in a number stays visible. What the contract has for names (ids,
handles, times) is not masked: operators find dead letters by them.
"""

import re
from typing import Any

import orjson

# What may separate two digits of a number: anything but words and JSON's separators of values, also as an
# escape. NULs are skipped, because UTF-16 and UTF-32 have them beside every digit. All quantifiers are
# possessive, so that no text causes backtracking.
_BETWEEN = r"""\x00*+(?:(?:\\[tnrbf/]?+|[^\w"',:;\[\]{}<>=|\\\x00]|_)\x00*+){0,8}+"""
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)"
_DAY = r"(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]"
_CLOCK = r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}+)?+)?+(?:Z|[+-][0-9]{2}:?[0-9]{2})?+"
_TIME = rf"{_DAY}(?:{_CLOCK})?+(?!\w)(?!{_BETWEEN}\d)"
_FOUND = re.compile(rf"(?P<name>(?<!\w)(?:{_UUID}|{_TIME}))|\d(?:{_BETWEEN}\d){{6,}}+")
_RUN = re.compile(r"\d{7,}")
_DIGIT = re.compile(r"\d")
_ESCAPED = re.compile(r"\\u(?![dD][89a-fA-F])([0-9a-fA-F]{4})")
_SHOWN_AT_EACH_END = 3
_SHORT = 10
_PHONES = frozenset({"phones", "rejectedNumbers"})
_NAMES = frozenset(
    {"id", "source", "type", "specversion", "account", "groupId", "groupKey", "time", "expirytime"}
    | {"expiresAt", "datacontenttype", "traceparent", "replyto", "sequence"}
)


def mask_text(text: str) -> str:
    """Return the text with every run of 7 or more digits masked, however they are grouped.

    Times and UUIDs are kept, except for 7 or more adjacent digits in them.
    """
    return _FOUND.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    if found["name"] is None:
        return mask_number(found[0])
    return _RUN.sub(lambda run: mask_number(run[0]), found[0])


def mask_number(text: str) -> str:
    """Return the number with `*` for all digits except the first and last three.

    Of fewer than ten digits only the last two are kept.
    """
    count = len(_DIGIT.findall(text))
    first, last = (_SHOWN_AT_EACH_END, _SHOWN_AT_EACH_END) if count >= _SHORT else (0, 2)
    seen = 0

    def masked(digit: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        return digit[0] if seen <= first or seen > count - last else "*"

    return _DIGIT.sub(masked, text)


def mask_body(body: bytes) -> str:
    """Return the body as text with its phone numbers masked; JSON stays JSON."""
    try:
        return orjson.dumps(mask_json(orjson.loads(body))).decode()
    except (ValueError, TypeError, RecursionError):  # TypeError: nested deeper than orjson writes
        # Invalid UTF-8 may separate digits, too. It is escaped afterwards, because escapes contain digits.
        text = body.decode(errors="surrogateescape")
        masked = mask_text(_ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), text))
        return masked.encode(errors="surrogateescape").decode(errors="backslashreplace")


def mask_json(value: Any, name: str = "") -> Any:
    """Return the JSON value with its phone numbers masked, also those in the names of members.

    `name`: the name of the member that has the value.
    """
    if isinstance(value, dict):
        within = name if name in _PHONES else None
        return {mask_text(key): mask_json(item, within or key) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_json(item, name) for item in value]
    if isinstance(value, bool) or not isinstance(value, str | int | float) or name in _NAMES:
        return value
    if name in _PHONES:
        return ",".join(map(mask_number, str(value).split(",")))
    masked = mask_text(str(value))
    return value if masked == str(value) else masked
