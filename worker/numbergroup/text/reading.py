"""Reads text files, whatever program saved them: the one reader of every file that is read.

UTF-8, UTF-16 and UTF-32 are read, with or without a byte order mark; a line ends with LF, CRLF or a lone CR.
Everything else is refused in one plain sentence, which quotes nothing of the file.
"""

import io
import re
from collections.abc import Iterator
from functools import partial
from typing import Protocol

from numbergroup.errors import NumbergroupError

Line = tuple[int, str]
"""A line's number, counted from 1, and its text."""

LONGEST_LINE = 256 * 2**20
"""So many characters a line may have: a group with all of its numbers fits."""

_BOM = "\ufeff"
_HEAD_BYTES = 4_096
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    # Before UTF-16: its mark begins with the same two bytes.
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_PACKED = (
    (b"\x1f\x8b", "it is compressed with gzip: unpack it first (gunzip)"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd: unpack it first (unzstd)"),
    (b"\xfd7zXZ\x00", "it is compressed with xz: unpack it first (unxz)"),
    (b"BZh", "it is compressed with bzip2: unpack it first (bunzip2)"),
    (b"PK\x03\x04", "it is a zip archive or a spreadsheet: unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "it is a spreadsheet or document of an office program: save it as text or CSV"),
    (b"%PDF-", "it is a PDF document, not a text file"),
    (b"SQLite format 3\x00", "it is a database, not a text file"),
)
_ENDS = re.compile("\r\n?")
_ZEROS_AT_LEAST = 0.25


class Source(Protocol):
    """What text is read from."""

    def read(self, size: int, /) -> bytes: ...


class UnreadableText(NumbergroupError, ValueError):
    """The content is no text that can be read; the message says why in one sentence, without quoting it."""


def text_of(content: bytes) -> str:
    """The text of a whole file, its lines ended by LF. Raises `UnreadableText`."""
    return _ENDS.sub("\n", "".join(line for _, line in lines_of(io.BytesIO(content))))


def lines_of(source: Source, longest: int = LONGEST_LINE) -> Iterator[Line]:
    """The lines of a file, each with its end as it is written; only what is needed is in memory.

    A byte order mark before a line is left out: files that were put together have several. Leaves `source`
    open. Raises `UnreadableText`, and `OSError` as `source` does.
    """
    head = source.read(_HEAD_BYTES)
    for mark, why in _PACKED:
        if head.startswith(mark):
            raise UnreadableText(why)
    encoding = _encoding(head)
    # Surrogates stand for what could not be decoded, so that it is found with its line.
    errors = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
    stream = io.BufferedReader(_Joined(head, source), _HEAD_BYTES * 16)
    number = 0
    try:
        text = io.TextIOWrapper(stream, encoding, errors, newline="")
        for number, line in enumerate(iter(partial(text.readline, longest + 1), ""), start=1):
            if len(line) > longest:
                raise UnreadableText(f"line {number} has more than {longest:,} characters")
            if "\0" in line:
                raise UnreadableText(f"line {number} has a NUL character: this is not a text file")
            if not line.isascii():
                line.encode()
                line = line.lstrip(_BOM)
            yield number, line
    except UnicodeEncodeError:
        name = encoding[:6].upper()
        raise UnreadableText(f"line {number} is not {name}: save the file in UTF-8") from None
    except UnicodeDecodeError:
        name = encoding[:6].upper()
        raise UnreadableText(f"it looks like {name}, but is not: save the file in UTF-8") from None


def _encoding(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    # Without a mark, Latin letters, digits and punctuation give UTF-16 and UTF-32 away.
    whole = head[: len(head) // 4 * 4]
    zeros = [whole[place::4].count(0) / max(1, len(whole) // 4) for place in range(4)]
    if min(zeros[1:]) >= _ZEROS_AT_LEAST and zeros[2] > 0.9 and not zeros[0]:
        return "utf-32-le"
    if min(zeros[:3]) >= _ZEROS_AT_LEAST and zeros[1] > 0.9 and not zeros[3]:
        return "utf-32-be"
    if min(zeros[1], zeros[3]) >= _ZEROS_AT_LEAST and not zeros[0] and not zeros[2]:
        return "utf-16-le"
    if min(zeros[0], zeros[2]) >= _ZEROS_AT_LEAST and not zeros[1] and not zeros[3]:
        return "utf-16-be"
    return "utf-8"


class _Joined(io.RawIOBase):
    """What was read already, and what follows it. Closing it does not close the source."""

    def __init__(self, head: bytes, source: Source) -> None:
        self._head, self._source = head, source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._head or self._source.read(len(buffer))
        some, self._head = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(some)] = some
        return len(some)
