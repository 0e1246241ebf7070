"""Files that commands read: `-` is standard input, and what cannot be read is one plain sentence."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from numbergroup.cli.endings import Failure
from numbergroup.text.reading import Line, UnreadableText, lines_of, text_of


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
    """The whole text of the file, its lines ended by LF. Raises `Failure` as `read_lines`."""
    with _reading(file), _opened(file) as source:
        return text_of(source.read())


class RereadableFile:
    """A file whose lines can be read several times; of a pipe there is a copy that only this process sees.

    Raises `Failure` as `read_lines`, when it is made and when it is read.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._stack = file, ExitStack()
        with _reading(file):
            source = self._stack.enter_context(_opened(file))
            if str(file) == "-" or not file.is_file():
                copy = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
                shutil.copyfileobj(source, copy)
                source = copy
            self._source: BinaryIO = source

    def __enter__(self) -> "RereadableFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lines(self) -> Iterator[Line]:
        with _reading(self._file):
            self._source.seek(0)
            yield from lines_of(self._source)


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
        raise Failure(f"{name_of(file)}: {error}") from None
    except OSError as error:
        raise Failure(f"{name_of(file)}: {error.strerror or error}") from None
