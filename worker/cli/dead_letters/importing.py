"""`numbergroup dead-letters import`."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer

from worker.cli.dead_letters.desk import Desk, interruptible, print_json
from worker.cli.dead_letters.wording import plain
from worker.cli.endings import INTERRUPTED, Failure
from worker.cli.screen import counted
from worker.ledger.letters.changing import PAGE, PAGE_BYTES, Action, Arrival, LetterChanger
from worker.ledger.letters.portable import NotALetter, from_line
from worker.ledger.letters.reading import LetterReader

_MOST_ERRORS = 10


@dataclass(slots=True)
class _Taken:
    """What became of the file's letters so far; `stopped`: somebody said so."""

    known: int = 0
    stopped: bool = False


def run(file: Path, as_json: bool) -> None:
    """Raises `Failure` that names the lines which are no letters: then none is taken in."""
    desk = Desk()
    taken, action = _Taken(), desk.action("import", {"file": plain(file.name)})
    failed = None
    with _opened(file) as lines:
        _check(file, lines)
        lines.seek(0)
        try:
            desk.run(lambda reader, changer: _take_in(reader, changer, lines, action, taken))
        except Failure as failure:
            failed = failure
    if as_json:
        print_json({"imported": action.changed, "known": taken.known})
    else:
        typer.echo(f"imported {counted(action.changed, 'letter')}")
        if taken.known:
            typer.echo(f"{counted(taken.known, 'letter')} there already")
    if failed is not None:
        raise Failure(f"{failed}\n  the same command again takes in the rest, and nothing twice")
    if taken.stopped:
        typer.echo("numbergroup: stopped: the same command again takes in the rest", err=True)
        raise typer.Exit(INTERRUPTED)


async def _take_in(
    reader: LetterReader, changer: LetterChanger, lines: BinaryIO, action: Action, taken: _Taken
) -> None:
    unindexed, ledger = await _unindexed(reader), await reader.ledger_id()
    with interruptible() as stop:
        for page in _pages(lines, ledger):
            if stop.is_set():
                taken.stopped = True
                return
            there = unindexed or await reader.find([one.letter.id for one in page])
            new = [one for one in page if one.letter.id not in there]
            now_ms = round((await reader.now()).timestamp() * 1000)
            answers = await changer.add(action, new, now_ms) if new else []
            taken.known += len(page) - sum(answers)


async def _unindexed(reader: LetterReader) -> set[str]:
    """The ids of all letters, where some of them cannot be found by it."""
    if not await reader.has_unindexed():
        return set()
    return {letter.id async for letter in reader.scan()}


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """The file, to be read twice: a copy that nobody else can read of what is a pipe."""
    try:
        with ExitStack() as stack:
            lines: BinaryIO = sys.stdin.buffer if str(file) == "-" else stack.enter_context(file.open("rb"))
            if str(file) == "-" or not file.is_file():
                copy = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(lines, copy)
                copy.seek(0)
                lines = copy
            yield lines
    except OSError as error:
        raise Failure(f"{file}: {error.strerror or error}") from None


def _check(file: Path, lines: BinaryIO) -> None:
    errors: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                from_line(line, "")
        except NotALetter as error:
            errors.append(f"line {number}: {error}")
            if len(errors) == _MOST_ERRORS:
                break
    if errors:
        name = "standard input" if str(file) == "-" else str(file)
        shown = "\n  ".join(errors)
        raise Failure(f"{name}: nothing was imported, because these are no letters:\n  {shown}")


def _pages(lines: BinaryIO, ledger: str) -> Iterator[list[Arrival]]:
    page: list[Arrival] = []
    size = 0
    for line in lines:
        if line.strip():
            page.append(from_line(line, ledger))
            size += len(line)
        if len(page) == PAGE or size > PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page
