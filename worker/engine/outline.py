"""The outline of a message: its top-level parts, found by brackets and strings alone.

For what a JSON parser will not read, or not read as it stood: one bad event among good ones, a
message that breaks off or is too large, a number of 5,000 digits, 100,000 brackets. One pass over
the bytes, with a counter where a parser has a stack; what is found are the bytes as they arrived.
"""

import re

from pydantic_core import from_json

SPACE = b" \t\r\n"
"""RFC 8259, 2: what may stand between tokens."""

_BOM = b"\xef\xbb\xbf"
# Possessive throughout, and a string ends with the text at the latest: else an unclosed quote would
# be tried again from every later one, which takes quadratic time.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)|[\[\]{},:]', re.DOTALL)
_QUOTE, _COMMA, _COLON = b'",:'
_OPENING, _CLOSING = frozenset(b"[{"), frozenset(b"]}")


def elements(body: bytes) -> tuple[list[bytes], bool]:
    """The elements of an array, and whether it is one: closed, with nothing after it.

    An element that breaks off is not among them. Whether the elements are JSON is not looked at.
    """
    found: list[bytes] = []
    depth = start = 0
    for token in _TOKEN.finditer(body):
        mark = body[token.start()]
        if mark in _OPENING:
            depth += 1
            if depth == 1:
                start = token.end()
        elif mark in _CLOSING:
            depth -= 1
            if depth == 0:
                last = body[start : token.start()].strip(SPACE)
                if last or found:
                    found.append(last)
                return found, not body[token.end() :].strip(SPACE)
        elif mark == _COMMA and depth == 1:
            found.append(body[start : token.start()].strip(SPACE))
            start = token.end()
    return found, False


def texts(body: bytes) -> dict[str, str]:
    """The members of an object that are strings, up to where it breaks off; nothing if it is none.

    Of a name that occurs twice the last one counts.
    """
    found: dict[str, str] = {}
    if not body.removeprefix(_BOM).lstrip(SPACE).startswith(b"{"):
        return found
    depth = 0
    said: str | None = None
    name: str | None = None
    for token in _TOKEN.finditer(body):
        mark = body[token.start()]
        if mark in _OPENING:
            depth += 1
        elif mark in _CLOSING:
            depth -= 1
            if depth == 0:
                break
        elif depth != 1:
            continue
        elif mark == _COLON:
            name = said
            if name is not None:
                found.pop(name, None)
        elif mark == _COMMA:
            said = name = None
        elif mark == _QUOTE:
            said = _string(token[0])
            if name is not None and said is not None:
                found[name] = said
    return found


def _string(token: bytes) -> str | None:
    try:
        text = from_json(token)
    except ValueError:  # unclosed, not UTF-8, or half of a surrogate pair
        return None
    return text if isinstance(text, str) else None
