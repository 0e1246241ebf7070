"""`numbergroup dead-letters export`."""

import sys
from pathlib import Path
from typing import BinaryIO

import orjson
import typer

from numbergroup.cli.dead_letters.files import Exporter, new_file
from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.cli.dead_letters.formatting import body_text, described
from numbergroup.cli.dead_letters.operator_session import OperatorSession
from numbergroup.cli.screen import counted
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.text.escaping import escaped, escaped_json


def run(asked: DeadLetterFilter, output: Path | None, reveal: bool) -> None:
    """A file is there whole or not at all."""
    if output is None:
        count = _write(asked, sys.stdout.buffer, reveal)
        sys.stdout.buffer.flush()
    else:
        with new_file(output) as out:
            try:
                count = _write(asked, out, reveal)
            except BaseException:
                output.unlink()
                raise
    where = "" if output is None else f" to {escaped(str(output))}"
    typer.echo(f"exported {counted(count, 'letter')}{where}", err=True)
    if not reveal:
        typer.echo(
            "phone numbers are masked: this cannot be imported again (--reveal writes them in full)", err=True
        )


def _write(asked: DeadLetterFilter, out: BinaryIO, reveal: bool) -> int:
    count = 0

    async def work(reader: LetterReader, _: LetterChanger) -> None:
        nonlocal count
        exporter = Exporter(reader, await reader.read_ledger_id())
        async for letter in asked.letters(reader):
            line = await exporter.line(letter) if reveal else _masked(letter)
            out.write(escaped_json(line) + b"\n")
            count += 1

    OperatorSession().run(work)
    return count


def _masked(letter: Letter) -> bytes:
    line = {
        "id": letter.id,
        "partition": letter.partition,
        "masked": True,
        "letter": described(letter, reveal=False),
        "body": body_text(letter.body, reveal=False),
    }
    if letter.original is not None:
        line["original"] = body_text(letter.original, reveal=False)
    return orjson.dumps(line)
