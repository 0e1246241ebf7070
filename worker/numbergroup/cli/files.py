"""Files that commands read: `-` is standard input, and what cannot be read is one plain sentence."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from numbergroup.cli.error_handling import CommandError
from numbergroup.text.reading import LONGEST_LINE, Line, Source, UnreadableText, lines_of, text_of


def name_of(file: Path) -> str:
    """How messages call the file."""
    return "standard input" if str(file) == "-" else str(file)


def read_lines(file: Path) -> Iterator[Line]:
    """The lines of the file with their numbers and ends, read as they are asked for.

    Raises `Failure` for what cannot be opened, read or understood as text.
    """
    with _reading(file), _opened(file) as source:
        yield from lines_of(source)


def read_text(file: Path) -> str:
    """The whole text of the file, its lines ended by LF. Raises `Failure` as `read_lines`, and for one
    that is longer than a line may be."""
    with _reading(file), _opened(file) as source:
        content = source.read(LONGEST_LINE + 1)
        if len(content) > LONGEST_LINE:
            raise UnreadableText(f"it has more than {LONGEST_LINE:,} bytes")
        return text_of(content)


class RereadableFile:
    """A file whose lines can be read several times; what is read of a pipe is copied to where only this
    process sees it.

    Raises `Failure` as `read_lines`, when it is made and when it is read.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._stack = file, ExitStack()
        with _reading(file):
            self._source: BinaryIO | _Copied = self._stack.enter_context(_opened(file))
            if str(file) == "-" or not file.is_file():
                copy = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
                self._source = _Copied(self._source, copy)

    def __enter__(self) -> "RereadableFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lines(self) -> Iterator[Line]:
        with _reading(self._file):
            self._source.seek(0)
            yield from lines_of(self._source)


@dataclass(slots=True)
class _Copied:
    """A pipe of which all that was read can be read again."""

    pipe: Source
    copy: IO[bytes]

    def seek(self, offset: int) -> None:
        self.copy.seek(offset)

    def read(self, size: int) -> bytes:
        content = self.copy.read(size)
        if not content:
            content = self.pipe.read(size)
            self.copy.write(content)
        return content


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) != "-":
        with file.open("rb") as source:
            yield source
    else:
        yield sys.stdin.buffer


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except UnreadableText as error:
        raise CommandError(f"{name_of(file)}: {error}") from None
    except OSError as error:
        raise CommandError(f"{name_of(file)}: {error.strerror or error}") from None
