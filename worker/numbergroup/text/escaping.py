"""Shows text that others wrote on a terminal: nothing in it moves the cursor, hides or reorders anything.

Everything untrusted goes through here before it is shown: names, remarks, reasons, messages of vendors and
brokers, sources, ids and handles.
"""

import re

# Characters that take no room or look like a space, though Python counts them as printable: the combining
# grapheme joiner, Hangul fillers, Khmer inherent vowels, variation selectors, the Braille blank.
INVISIBLE_MARKS = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\u2800\U000e0100-\U000e01ef"
)
_MARKS = re.compile(f"[{INVISIBLE_MARKS}]")


def escaped(text: str) -> str:
    """The text in one line, with an escape (`\\u202e`) for each character that is not plainly visible.

    These are control, format (bidi, zero-width), separator, private, unassigned and lone surrogate
    characters, and the invisible ones among the marks and letters. A space stays.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() and not _MARKS.match(char) else _code(char, wide=True) for char in text
    )


def escaped_json(line: bytes) -> bytes:
    """JSON of one line that means the same, with JSON's escapes for what `escaped` escapes."""
    # Outside of strings JSON is ASCII, and there is no control character in one line.
    if line.isascii() and b"\x7f" not in line:
        return line
    text = line.decode()
    if text.isprintable() and not _MARKS.search(text):
        return line
    return "".join(
        char if char.isprintable() and not _MARKS.match(char) else _code(char, wide=False) for char in text
    ).encode()


def _code(char: str, *, wide: bool) -> str:
    code = ord(char)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    if wide:
        return f"\\U{code:08x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
