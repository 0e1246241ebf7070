"""`numbergroup dead-letters discard`: a copy first, then a number that has to be typed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import typer

from numbergroup.cli.dead_letters.files import Exporter, new_file
from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.cli.dead_letters.operator_session import OperatorSession, carry_out, require_terminal
from numbergroup.cli.exit_codes import ExitCode
from numbergroup.cli.screen import counted
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter, Position
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.text.escaping import escaped


def run(asked: DeadLetterFilter, export: Path | None, no_export: bool, yes: bool, as_json: bool) -> None:
    """Where nothing is discarded, no copy is left behind."""
    if not yes:
        require_terminal("Discarding has to be confirmed.")
    session = OperatorSession()
    file = None if no_export else export or Path(f"dead-letters-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.ndjson")
    positions, note = _gather(session, asked, file)
    if file is not None and positions:
        try:
            _confirm(len(positions), yes=yes)
        except BaseException:
            file.unlink()
            raise
        note["export"] = escaped(file.name)
    elif positions:
        _confirm(len(positions), yes=yes)
    _discard(session, positions, note, file if positions else None, as_json)


def _gather(
    session: OperatorSession, asked: DeadLetterFilter, file: Path | None
) -> tuple[list[Position], dict[str, Any]]:
    """Where the letters are that are asked for, and what is noted of it; all of them are in `file` then."""
    if file is None:
        return session.run(lambda reader, _: _copy(reader, asked, None))
    with new_file(file) as out:
        try:
            found = session.run(lambda reader, _: _copy(reader, asked, out))
        except BaseException:
            file.unlink()
            raise
    if not found[0]:
        file.unlink()
    return found


async def _copy(
    reader: LetterReader, asked: DeadLetterFilter, out: BinaryIO | None
) -> tuple[list[Position], dict[str, Any]]:
    exporter = None if out is None else Exporter(reader, await reader.read_ledger_id())
    positions = []
    async for letter in asked.letters(reader):
        positions.append(letter.position)
        if exporter is not None and out is not None:
            out.write(await exporter.line(letter) + b"\n")
    return positions, asked.as_json(await reader.server_time())


def _confirm(count: int, *, yes: bool) -> None:
    if yes:
        return
    question = f"{counted(count, 'letter')} will be gone. Type the number of letters to discard them"
    if (
        typer.prompt(question, default="", show_default=False, err=True).strip().replace(",", "")
        != f"{count}"
    ):
        typer.echo("nothing was discarded", err=True)
        raise typer.Exit(ExitCode.FAILED)


def _discard(
    session: OperatorSession,
    positions: Sequence[Position],
    note: dict[str, Any],
    file: Path | None,
    as_json: bool,
) -> None:
    action = session.action("discard", note)

    async def change(_: LetterReader, changer: LetterChanger, letters: list[Letter]) -> Sequence[bool]:
        return await changer.discard(action, letters)

    done = carry_out(session, positions, "discarding", change)
    if file is not None and not as_json:
        typer.echo(f"{counted(len(positions), 'letter')} copied to {escaped(str(file))}")
    done.end("discarded", {"export": None if file is None else escaped(str(file))} if as_json else None)
