"""Letters in files: written so that nobody else can read them, and never over another file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from numbergroup.cli.error_handling import CommandError
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.portable import encode_line
from numbergroup.ledger.dead_letters.reading import LetterReader


@contextmanager
def new_file(file: Path) -> Iterator[BinaryIO]:
    """A file of our own (mode 0600), durable at the end. Raises `Failure` when it is there, or cannot be."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
    except FileExistsError:
        raise CommandError(f"{file} is there already: it is not overwritten") from None
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None


class Exporter:
    """Turns letters into lines that `import` takes."""

    def __init__(self, reader: LetterReader, ledger: str) -> None:
        self._reader, self._ledger = reader, ledger
        self._shapes: dict[str, bytes | None] = {}

    async def line(self, letter: Letter) -> bytes:
        fingerprint = letter.details.fingerprint
        if fingerprint is None:
            return encode_line(letter, self._ledger, None)
        if fingerprint not in self._shapes:
            self._shapes[fingerprint] = await self._reader.read_raw_shape(fingerprint)
        return encode_line(letter, self._ledger, self._shapes[fingerprint])
