"""Files that commands read, with `-` for standard input, and files that they write."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from numbergroup.cli.error_handling import CommandError
from numbergroup.text.reading import LONGEST_LINE, Line, Source, UnreadableText, lines_of, text_of


def display_name(file: Path) -> str:
    """Return the name of the file in messages."""
    return "standard input" if str(file) == "-" else str(file)


def read_lines(file: Path) -> Iterator[Line]:
    """Yield the lines of the file with their numbers and line breaks; read as needed.

    Raises `CommandError` when the file cannot be opened or read, or is no text.
    """
    with _translate_errors(file), _open_source(file) as source:
        yield from lines_of(source)


def read_text(file: Path) -> str:
    """Return the whole text of the file, with LF for all line breaks.

    Raises `CommandError` like `read_lines`, and when the file has more than `LONGEST_LINE` bytes.
    """
    with _translate_errors(file), _open_source(file) as source:
        content = source.read(LONGEST_LINE + 1)
        if len(content) > LONGEST_LINE:
            raise UnreadableText(f"it has more than {LONGEST_LINE:,} bytes")
        return text_of(content)


class RereadableFile:
    """A file whose lines can be read several times. A pipe is copied to a temporary file of this process.

    Raises `CommandError` like `read_lines`, when it is opened and when it is read.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._stack = file, ExitStack()
        with _translate_errors(file):
            self._source: BinaryIO | _PipeCopy = self._stack.enter_context(_open_source(file))
            if str(file) == "-" or not file.is_file():
                copy = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
                self._source = _PipeCopy(self._source, copy)

    def __enter__(self) -> "RereadableFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lines(self) -> Iterator[Line]:
        """Yield the lines from the beginning, like `read_lines`."""
        with _translate_errors(self._file):
            self._source.seek(0)
            yield from lines_of(self._source)


@contextmanager
def create_file(file: Path) -> Iterator[BinaryIO]:
    """Create a file that only its owner can read (mode 0600), and open it for writing.

    It is durable at the end; after an exception it is deleted. Raises `CommandError` when the file exists or
    cannot be written.
    """
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            file.unlink()
            raise
    except FileExistsError:
        raise CommandError(f"{file} exists already, and is not overwritten") from None
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None


@dataclass(slots=True)
class _PipeCopy:
    """A pipe whose content is kept, so that it can be read again."""

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
def _open_source(file: Path) -> Iterator[BinaryIO]:
    if str(file) != "-":
        with file.open("rb") as source:
            yield source
    else:
        yield sys.stdin.buffer


@contextmanager
def _translate_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except UnreadableText as error:
        raise CommandError(f"{display_name(file)}: {error}") from None
    except OSError as error:
        raise CommandError(f"{display_name(file)}: {error.strerror or error}") from None
