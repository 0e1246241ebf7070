"""`numbergroup dead-letters discard`: exports first, then asks for the number of dead letters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import typer

from numbergroup.cli.dead_letters.exporting import Exporter
from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.cli.dead_letters.operator_session import (
    OperatorSession,
    change_by_pages,
    require_terminal,
)
from numbergroup.cli.exit_codes import ExitCode
from numbergroup.cli.files import create_file
from numbergroup.cli.output import pluralize
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter, Position
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.text.escaping import escaped


def run(
    letter_filter: DeadLetterFilter, export: Path | None, *, no_export: bool, yes: bool, as_json: bool
) -> None:
    """Discard the dead letters. If nothing is discarded, no copy is left behind."""
    if not yes:
        require_terminal()
    session = OperatorSession()
    file = None if no_export else export or Path(f"dead-letters-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.ndjson")
    positions, selection = _select_and_export(session, letter_filter, file)
    if not positions:
        file = None
    elif not yes:
        try:
            _confirm(len(positions))
        except BaseException:
            if file is not None:
                file.unlink()
            raise
    if file is not None:
        selection["export"] = escaped(file.name)
    _discard(session, positions, selection, file, as_json=as_json)


def _select_and_export(
    session: OperatorSession, letter_filter: DeadLetterFilter, file: Path | None
) -> tuple[list[Position], dict[str, Any]]:
    """Return the positions of the selected dead letters, and the selection for the audit stream.

    All of them are in the new `file` then; without dead letters there is none.
    """
    if file is None:
        return session.run(lambda reader, _: _scan(reader, letter_filter, None))
    with create_file(file) as out:
        found = session.run(lambda reader, _: _scan(reader, letter_filter, out))
    if not found[0]:
        file.unlink()
    return found


async def _scan(
    reader: LetterReader, letter_filter: DeadLetterFilter, out: BinaryIO | None
) -> tuple[list[Position], dict[str, Any]]:
    exporter = None if out is None else Exporter(reader, await reader.read_ledger_id())
    positions = []
    async for letter in letter_filter.scan(reader):
        positions.append(letter.position)
        if exporter is not None and out is not None:
            out.write(await exporter.encode(letter) + b"\n")
    return positions, letter_filter.as_json(await reader.server_time())


def _confirm(count: int) -> None:
    question = f"This deletes {pluralize(count, 'dead letter')}. To confirm, type their number"
    answer: str = typer.prompt(question, default="", show_default=False, err=True)
    if answer.strip().replace(",", "") != f"{count}":
        typer.echo("nothing was discarded", err=True)
        raise typer.Exit(ExitCode.FAILED)


def _discard(
    session: OperatorSession,
    positions: Sequence[Position],
    selection: dict[str, Any],
    file: Path | None,
    *,
    as_json: bool,
) -> None:
    action = session.make_action("discard", selection)

    async def change(_: LetterReader, changer: LetterChanger, letters: list[Letter]) -> Sequence[bool]:
        return await changer.discard(action, letters)

    result = change_by_pages(session, positions, "discarding", change)
    if file is not None and not as_json:
        typer.echo(f"{pluralize(len(positions), 'dead letter')} copied to {escaped(str(file))}")
    result.report("discarded", {"export": None if file is None else escaped(str(file))} if as_json else None)
