"""The outline of a message: its top-level parts, found by brackets and strings alone.

For what a JSON parser will not read, or not read as it stood: one bad event among good ones, a
message that breaks off or is too large, a number of 5,000 digits, 100,000 brackets. One pass over
the bytes, with a counter where a parser has a stack; what is found are the bytes as they arrived.
"""

import re

from pydantic_core import from_json

SPACE = b" \t\r\n"
"""RFC 8259, 2: what may stand between tokens."""

BOM = b"\xef\xbb\xbf"
# Possessive throughout, and matched where the last match ended, never searched for: nothing is tried
# twice, so that the time is linear whatever the bytes are.
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+[\[\]{}]", re.DOTALL)
_TO_COMMA = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb")*+[\[\]{},]", re.DOTALL)
_TO_TOKEN = re.compile(rb'[^"\[\]{},:]*+(' + _STRING + rb"|[\[\]{},:])", re.DOTALL)
_QUOTE, _COMMA, _COLON = b'",:'
_OPENING = frozenset(b"[{")


def split_array(body: bytes, most: int = 100_000) -> tuple[list[bytes], bool]:
    """The elements of an array, and whether they are all: it is closed, and nothing comes after it.

    An element that breaks off is not among them. Whether the elements are JSON is not looked at.
    After `most` of them, far more than a message may have, it stops looking.
    """
    found: list[bytes] = []
    depth = start = at = 0
    while (step := (_TO_BRACKET if depth > 1 else _TO_COMMA).match(body, at)) and len(found) < most:
        at = step.end()
        mark = body[at - 1]
        if mark in _OPENING:
            depth += 1
            if depth == 1:
                start = at
        elif mark == _COMMA:
            if depth == 1:
                found.append(body[start : at - 1].strip(SPACE))
                start = at
        else:
            depth -= 1
            if depth == 0:
                last = body[start : at - 1].strip(SPACE)
                if last or found:
                    found.append(last)
                return found, not body[at:].strip(SPACE)
    return found, False


def string_members(body: bytes) -> dict[str, str]:
    """The members of an object that are strings, up to where it breaks off; nothing if it is none.

    Of a name that occurs twice the last one counts.
    """
    found: dict[str, str] = {}
    if not body.removeprefix(BOM).lstrip(SPACE).startswith(b"{"):
        return found
    depth = at = 0
    said: str | None = None
    name: str | None = None
    while step := (_TO_BRACKET if depth > 1 else _TO_TOKEN).match(body, at):
        at = step.end()
        mark = body[step.start(1) if depth <= 1 else at - 1]
        if mark in _OPENING:
            depth += 1
        elif mark == _COLON:
            name = said
            if name is not None:
                found.pop(name, None)
        elif mark == _COMMA:
            said = name = None
        elif mark == _QUOTE:
            said = _string(step[1])
            if name is not None and said is not None:
                found[name] = said
        else:
            depth -= 1
            if depth == 0:
                break
    return found


def member_bytes(body: bytes, name: str) -> bytes:
    """The bytes of an object's member that is an object or an array; none if there is no such member.

    Of a name that occurs twice the last one counts.
    """
    found = b""
    depth = at = start = 0
    said: str | None = None
    key: str | None = None
    while step := (_TO_BRACKET if depth > 1 else _TO_TOKEN).match(body, at):
        at = step.end()
        mark = body[step.start(1) if depth <= 1 else at - 1]
        if mark in _OPENING:
            if depth == 1:
                start = at - 1
            depth += 1
        elif mark == _COLON:
            key = said
        elif mark == _COMMA:
            said = key = None
        elif mark == _QUOTE:
            said = _string(step[1])
        else:
            depth -= 1
            if depth == 1 and key == name:
                found = body[start:at]
            if depth == 0:
                break
    return found


def _string(token: bytes) -> str | None:
    try:
        text = from_json(token)
    except ValueError:  # unclosed, not UTF-8, or half of a surrogate pair
        return None
    return text if isinstance(text, str) else None
