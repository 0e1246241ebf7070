"""`numbergroup dead-letters import`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from numbergroup.cli.dead_letters.operator_session import OperatorSession, interruptible
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.exit_codes import ExitCode
from numbergroup.cli.files import RereadableFile, display_name
from numbergroup.cli.output import pluralize, print_json
from numbergroup.ledger.dead_letters.changing import PAGE, PAGE_BYTES, Action, ImportedLetter, LetterChanger
from numbergroup.ledger.dead_letters.portable import InvalidLine, decode_line
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.text.escaping import escaped

_MAX_ERRORS = 10


@dataclass(slots=True)
class _Progress:
    """The progress of an import. `existing`: dead letters whose id exists; `interrupted`: by Ctrl-C."""

    existing: int = 0
    interrupted: bool = False


def run(file: Path, *, as_json: bool) -> None:
    """Import the dead letters of the file.

    Raises `CommandError` that names the invalid lines, if there are any; then nothing is imported.
    """
    session = OperatorSession()
    progress, action = _Progress(), session.make_action("import", {"file": escaped(file.name)})
    failure = None
    with RereadableFile(file) as content:
        check_file(file, content)
        try:
            session.run(lambda reader, changer: _import(reader, changer, content, action, progress))
        except CommandError as error:
            failure = error
    if as_json:
        print_json({"imported": action.changed, "known": progress.existing})
    else:
        typer.echo(f"imported {pluralize(action.changed, 'dead letter')}")
        if progress.existing:
            typer.echo(f"skipped {pluralize(progress.existing, 'dead letter')}: already in the ledger")
    again = "run the command again to import the rest"
    if failure is not None:
        raise CommandError(f"{failure}\n  {again}; nothing is imported twice")
    if progress.interrupted:
        typer.echo(f"numbergroup: interrupted: {again}", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED)


async def _import(
    reader: LetterReader, changer: LetterChanger, content: RereadableFile, action: Action, progress: _Progress
) -> None:
    all_ids, ledger_id = await _find_ids_if_unindexed(reader), await reader.read_ledger_id()
    with interruptible() as interrupted:
        for page in _read_pages(content, ledger_id):
            if interrupted.is_set():
                progress.interrupted = True
                return
            existing = all_ids or await reader.find([item.letter.id for item in page])
            new = [item for item in page if item.letter.id not in existing]
            now_ms = round((await reader.server_time()).timestamp() * 1000)
            added = await changer.add(action, new, now_ms) if new else []
            progress.existing += len(page) - sum(added)


async def _find_ids_if_unindexed(reader: LetterReader) -> set[str]:
    """Return the ids of all dead letters if the index does not have all of them; otherwise nothing."""
    if not await reader.has_unindexed():
        return set()
    return {letter.id async for letter in reader.scan()}


def check_file(file: Path, content: RereadableFile) -> None:
    """Raise `CommandError` that names the lines which are not dead letters."""
    errors: list[str] = []
    for number, line in content.lines():
        try:
            if line.strip():
                decode_line(line.encode(), "")
        except InvalidLine as error:
            errors.append(f"line {number}: {error}")
            if len(errors) == _MAX_ERRORS:
                break
    if errors:
        shown = "\n  ".join(errors)
        raise CommandError(
            f"{display_name(file)}: nothing was imported, because these lines are invalid:\n  {shown}"
        )


def _read_pages(content: RereadableFile, ledger_id: str) -> Iterator[list[ImportedLetter]]:
    page: list[ImportedLetter] = []
    size = 0
    for _, line in content.lines():
        if line.strip():
            page.append(decode_line(line.encode(), ledger_id))
            size += len(line)
        if len(page) == PAGE or size > PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page
