"""`numbergroup dead-letters export`."""

import sys
from pathlib import Path
from typing import BinaryIO

import orjson
import typer

from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.cli.dead_letters.formatting import describe_letter, format_body
from numbergroup.cli.dead_letters.operator_session import OperatorSession
from numbergroup.cli.files import create_file
from numbergroup.cli.output import pluralize
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.portable import encode_line
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.text.escaping import escaped, escaped_json


class Exporter:
    """Encodes dead letters as lines that `import` accepts."""

    def __init__(self, reader: LetterReader, ledger_id: str) -> None:
        self._reader, self._ledger_id = reader, ledger_id
        self._shapes: dict[str, bytes | None] = {}

    async def encode(self, letter: Letter) -> bytes:
        """Return the line of a dead letter, with the shape of its fingerprint."""
        fingerprint = letter.details.fingerprint
        if fingerprint is None:
            return encode_line(letter, self._ledger_id, None)
        if fingerprint not in self._shapes:
            self._shapes[fingerprint] = await self._reader.read_raw_shape(fingerprint)
        return encode_line(letter, self._ledger_id, self._shapes[fingerprint])


def run(letter_filter: DeadLetterFilter, output: Path | None, *, reveal: bool) -> None:
    """Write the dead letters to the new file `output`, or to standard output."""
    if output is None:
        count = _write(letter_filter, sys.stdout.buffer, reveal=reveal)
        sys.stdout.buffer.flush()
    else:
        with create_file(output) as out:
            count = _write(letter_filter, out, reveal=reveal)
    where = "" if output is None else f" to {escaped(str(output))}"
    typer.echo(f"exported {pluralize(count, 'dead letter')}{where}", err=True)
    if not reveal:
        typer.echo(
            "phone numbers are masked, so this cannot be imported again; --reveal exports them in full",
            err=True,
        )


def _write(letter_filter: DeadLetterFilter, out: BinaryIO, *, reveal: bool) -> int:
    async def work(reader: LetterReader, _: LetterChanger) -> int:
        count = 0
        exporter = Exporter(reader, await reader.read_ledger_id())
        async for letter in letter_filter.scan(reader):
            line = await exporter.encode(letter) if reveal else _encode_masked(letter)
            out.write(escaped_json(line) + b"\n")
            count += 1
        return count

    return OperatorSession().run(work)


def _encode_masked(letter: Letter) -> bytes:
    line = {
        "id": letter.id,
        "partition": letter.partition,
        "masked": True,
        "letter": describe_letter(letter, reveal=False),
        "body": format_body(letter.body, reveal=False),
    }
    if letter.original is not None:
        line["original"] = format_body(letter.original, reveal=False)
    return orjson.dumps(line)
