"""`numbergroup dead-letters import`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from numbergroup.cli.dead_letters.operator_session import OperatorSession, interruptible
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.exit_codes import ExitCode
from numbergroup.cli.files import RereadableFile, name_of
from numbergroup.cli.screen import counted, print_json
from numbergroup.ledger.dead_letters.changing import PAGE, PAGE_BYTES, Action, ImportedLetter, LetterChanger
from numbergroup.ledger.dead_letters.portable import InvalidLine, decode_line
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.text.escaping import escaped

_MOST_ERRORS = 10


@dataclass(slots=True)
class _Taken:
    """What became of the file's letters so far; `stopped`: somebody said so."""

    known: int = 0
    stopped: bool = False


def run(file: Path, as_json: bool) -> None:
    """Raises `Failure` that names the lines which are no letters: then none is taken in."""
    session = OperatorSession()
    taken, action = _Taken(), session.action("import", {"file": escaped(file.name)})
    failed = None
    with RereadableFile(file) as content:
        check_file(file, content)
        try:
            session.run(lambda reader, changer: _take_in(reader, changer, content, action, taken))
        except CommandError as failure:
            failed = failure
    if as_json:
        print_json({"imported": action.changed, "known": taken.known})
    else:
        typer.echo(f"imported {counted(action.changed, 'letter')}")
        if taken.known:
            typer.echo(f"{counted(taken.known, 'letter')} there already")
    if failed is not None:
        raise CommandError(f"{failed}\n  the same command again takes in the rest, and nothing twice")
    if taken.stopped:
        typer.echo("numbergroup: stopped: the same command again takes in the rest", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED)


async def _take_in(
    reader: LetterReader, changer: LetterChanger, content: RereadableFile, action: Action, taken: _Taken
) -> None:
    unindexed, ledger = await _unindexed(reader), await reader.read_ledger_id()
    with interruptible() as stop:
        for page in _pages(content, ledger):
            if stop.is_set():
                taken.stopped = True
                return
            there = unindexed or await reader.find([one.letter.id for one in page])
            new = [one for one in page if one.letter.id not in there]
            now_ms = round((await reader.server_time()).timestamp() * 1000)
            answers = await changer.add(action, new, now_ms) if new else []
            taken.known += len(page) - sum(answers)


async def _unindexed(reader: LetterReader) -> set[str]:
    """The ids of all letters, where some of them cannot be found by it."""
    if not await reader.has_unindexed():
        return set()
    return {letter.id async for letter in reader.scan()}


def check_file(file: Path, content: RereadableFile) -> None:
    errors: list[str] = []
    for number, line in content.lines():
        try:
            if line.strip():
                decode_line(line.encode(), "")
        except InvalidLine as error:
            errors.append(f"line {number}: {error}")
            if len(errors) == _MOST_ERRORS:
                break
    if errors:
        shown = "\n  ".join(errors)
        raise CommandError(f"{name_of(file)}: nothing was imported, because these are no letters:\n  {shown}")


def _pages(content: RereadableFile, ledger: str) -> Iterator[list[ImportedLetter]]:
    page: list[ImportedLetter] = []
    size = 0
    for _, line in content.lines():
        if line.strip():
            page.append(decode_line(line.encode(), ledger))
            size += len(line)
        if len(page) == PAGE or size > PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page
