"""What all `dead-letters` commands need: the ledger, the operator's name, confirmations and Ctrl-C."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from numbergroup.brokers.redis.connect import connect
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.exit_codes import ExitCode
from numbergroup.cli.ledger import ledger_failure, ledger_url
from numbergroup.cli.operator_name import operator_name
from numbergroup.cli.output import pluralize, print_json
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger.dead_letters.changing import PAGE, PAGE_BYTES, Action, LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter, Position
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.settings import Settings, load_settings
from numbergroup.text.escaping import escaped

T = TypeVar("T")
ChangePage = Callable[[LetterReader, LetterChanger, list[Letter]], Awaitable[Sequence[bool]]]
"""Changes a page of dead letters, and returns for each whether it was changed."""


@dataclass(frozen=True)
class OperatorSession:
    """A command's settings and its access to the ledger."""

    settings: Settings = field(default_factory=load_settings)

    def run(self, work: Callable[[LetterReader, LetterChanger], Awaitable[T]]) -> T:
        """Connect to the ledger, and return what `work` returns.

        Each call has its own connections: none stays open while an operator thinks about an answer.
        Raises `CommandError` when the ledger does not answer.
        """
        try:
            return asyncio.run(self._run_connected(work))
        except LedgerUnavailable as error:
            raise ledger_failure(self.settings, error) from None

    async def _run_connected(self, work: Callable[[LetterReader, LetterChanger], Awaitable[T]]) -> T:
        url = ledger_url(self.settings)
        read_client, change_client = connect(url), connect(url, retries=0)
        try:
            return await work(LetterReader(read_client), LetterChanger(change_client))
        finally:
            await read_client.aclose()
            await change_client.aclose()

    def find(self, letter_id: str) -> Letter:
        """Return the dead letter with this id. Raises `CommandError` when there is none."""
        letter = self.run(lambda reader, _: reader.find([letter_id])).get(letter_id)
        if letter is None:
            raise CommandError(f"no such dead letter: {escaped(letter_id)}")
        return letter

    def make_intake(self) -> Intake:
        """Return an intake that decodes commands as the workers do."""
        return Intake(self.settings.max_message_bytes, self.settings.number_normalizers)

    def make_action(self, name: str, selection: dict[str, Any] | None = None) -> Action:
        """Return an action of this operator, for the audit stream."""
        return Action(operator_name(), name, selection or {})


@dataclass(slots=True)
class ActionResult:
    """The result of an action on several dead letters.

    `missing`: others replayed, edited or discarded them first. `remaining` were not processed, because the
    operator interrupted the action or the ledger failed (`failure`).
    """

    changed: int = 0
    missing: int = 0
    remaining: int = 0
    failure: CommandError | None = None

    def report(self, verb: str, as_json: dict[str, Any] | None) -> None:
        """Print the result; `verb` is for example "replayed". With `as_json`, print JSON that includes it.

        Raises `CommandError` after a failure, and `typer.Exit` after an interruption.
        """
        if as_json is not None:
            print_json({**as_json, verb: self.changed, "gone": self.missing, "left": self.remaining})
        else:
            typer.echo(f"{verb} {pluralize(self.changed, 'dead letter')}")
            if self.missing:
                typer.echo(f"{pluralize(self.missing, 'dead letter')} removed or edited by others meanwhile")
        if self.failure is not None:
            raise CommandError(
                f"{self.failure}\n  {pluralize(self.remaining, 'dead letter')} left; up to "
                f"{min(self.remaining, PAGE)} of these may be {verb}: run the command again, nothing is "
                f"{verb} twice"
            )
        if self.remaining:
            typer.echo(
                f"numbergroup: interrupted: {pluralize(self.remaining, 'dead letter')} left unchanged",
                err=True,
            )
            raise typer.Exit(ExitCode.INTERRUPTED)


def change_by_pages(
    session: OperatorSession, positions: Sequence[Position], title: str, change: ChangePage
) -> ActionResult:
    """Change the dead letters at these positions, page by page. Ctrl-C ends it after the current page.

    `title` is shown beside the progress bar.
    """
    result = ActionResult(remaining=len(positions))

    async def work(reader: LetterReader, changer: LetterChanger) -> None:
        with interruptible() as interrupted, _progress(title, len(positions)) as advance:
            for page in _split_into_pages(positions):
                if interrupted.is_set():
                    return
                letters = [letter for letter in await reader.fetch(page) if letter is not None]
                changed = sum(await change(reader, changer, letters))
                result.changed += changed
                result.missing += len(page) - changed
                result.remaining -= len(page)
                advance(len(page))

    try:
        session.run(work)
    except CommandError as failure:
        result.failure = failure
    return result


def _split_into_pages(positions: Sequence[Position]) -> Iterator[Sequence[Position]]:
    start = size = 0
    for end, position in enumerate(positions):
        if end > start and (end - start >= PAGE or size + position.size > PAGE_BYTES):
            yield positions[start:end]
            start, size = end, 0
        size += position.size
    if positions[start:]:
        yield positions[start:]


@contextmanager
def interruptible() -> Iterator[asyncio.Event]:
    """Make Ctrl-C set an event instead of raising, so that the current page can be finished."""
    interrupted, loop = asyncio.Event(), asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        yield interrupted
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)


def confirm(question: str, *, yes: bool) -> None:
    """Ask the operator, unless `yes`. Raises `typer.Abort` for the answer no, and like `require_terminal`."""
    if not yes:
        require_terminal()
        typer.confirm(question, abort=True, err=True)


def require_terminal() -> None:
    """Raise `typer.BadParameter` if standard input is no terminal: then an operator cannot confirm."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("standard input is not a terminal: confirm with --yes")
