"""Finds the parts of a message that a JSON parser rejects, by its brackets and strings alone.

Examples are one bad event among good ones, a message that breaks off or is too large, a number of 5,000
digits, and 100,000 brackets. Each function makes one pass over the bytes, with a counter instead of a
parser's stack. It returns the bytes as they arrived.
"""

import re

from pydantic_core import from_json

SPACE = b" \t\r\n"
"""The bytes that may separate tokens (RFC 8259, 2)."""

BOM = b"\xef\xbb\xbf"
# All quantifiers are possessive, and each match begins where the last one ended. So no byte is tried twice,
# and the time is linear for all input.
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+[\[\]{}]", re.DOTALL)
_TO_COMMA = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb")*+[\[\]{},]", re.DOTALL)
_TO_TOKEN = re.compile(rb'[^"\[\]{},:]*+(' + _STRING + rb"|[\[\]{},:])", re.DOTALL)
_QUOTE, _COMMA, _COLON = b'",:'
_OPENING = frozenset(b"[{")


def split_array(body: bytes, max_elements: int = 100_000) -> tuple[list[bytes], bool]:
    """Return the elements of an array, and whether the array is complete: closed, with nothing after it.

    An element that breaks off is left out. The elements need not be JSON. It stops after `max_elements`, far
    more than a message may have.
    """
    elements: list[bytes] = []
    depth = start = end = 0
    while len(elements) < max_elements and (
        match := (_TO_BRACKET if depth > 1 else _TO_COMMA).match(body, end)
    ):
        end = match.end()
        mark = body[end - 1]
        if mark in _OPENING:
            depth += 1
            if depth == 1:
                start = end
        elif mark == _COMMA:
            if depth == 1:
                elements.append(body[start : end - 1].strip(SPACE))
                start = end
        else:
            depth -= 1
            if depth == 0:
                last = body[start : end - 1].strip(SPACE)
                if last or elements:
                    elements.append(last)
                return elements, not body[end:].strip(SPACE)
    return elements, False


def string_members(body: bytes) -> dict[str, str]:
    """Return the members of an object that are strings, up to where it breaks off; none for any other value.

    If a name occurs twice, the last one counts.
    """
    members: dict[str, str] = {}
    if not body.removeprefix(BOM).lstrip(SPACE).startswith(b"{"):
        return members
    depth = end = 0
    text: str | None = None
    name: str | None = None
    while match := (_TO_BRACKET if depth > 1 else _TO_TOKEN).match(body, end):
        end = match.end()
        mark = body[match.start(1) if depth <= 1 else end - 1]
        if mark in _OPENING:
            depth += 1
        elif mark == _COLON:
            name = text
            if name is not None:
                members.pop(name, None)
        elif mark == _COMMA:
            text = name = None
        elif mark == _QUOTE:
            text = _decode_string(match[1])
            if name is not None and text is not None:
                members[name] = text
        else:
            depth -= 1
            if depth == 0:
                break
    return members


def member_bytes(body: bytes, name: str) -> bytes:
    """Return the bytes of an object's member that is an object or an array; empty without such a member.

    If a name occurs twice, the last one counts.
    """
    member = b""
    depth = end = start = 0
    text: str | None = None
    key: str | None = None
    while match := (_TO_BRACKET if depth > 1 else _TO_TOKEN).match(body, end):
        end = match.end()
        mark = body[match.start(1) if depth <= 1 else end - 1]
        if mark in _OPENING:
            if depth == 1:
                start = end - 1
            depth += 1
        elif mark == _COLON:
            key = text
        elif mark == _COMMA:
            text = key = None
        elif mark == _QUOTE:
            text = _decode_string(match[1])
        else:
            depth -= 1
            if depth == 1 and key == name:
                member = body[start:end]
            if depth == 0:
                break
    return member


def _decode_string(token: bytes) -> str | None:
    try:
        text = from_json(token)
    except ValueError:  # not closed, not UTF-8, or half of a surrogate pair
        return None
    return text if isinstance(text, str) else None
