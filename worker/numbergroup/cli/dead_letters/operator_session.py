"""Where operators work: the ledger's letters, who it is, what is on a terminal, and Ctrl-C."""

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
from numbergroup.cli.screen import counted, print_json
from numbergroup.ledger.dead_letters.changing import PAGE, PAGE_BYTES, Action, LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter, Position
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.settings import Settings, load_settings

T = TypeVar("T")
Change = Callable[[LetterReader, LetterChanger, list[Letter]], Awaitable[Sequence[bool]]]


@dataclass(frozen=True)
class OperatorSession:
    """The settings of this command. `run` may be called again and again: nothing is kept open in between, for
    people take their time to answer."""

    settings: Settings = field(default_factory=load_settings)

    def run(self, work: Callable[[LetterReader, LetterChanger], Awaitable[T]]) -> T:
        """Raises `Failure` when the ledger does not answer."""
        try:
            return asyncio.run(self._attend(work))
        except LedgerUnavailable as error:
            raise ledger_failure(self.settings, error) from None

    async def _attend(self, work: Callable[[LetterReader, LetterChanger], Awaitable[T]]) -> T:
        url = ledger_url(self.settings)
        reading, changing = connect(url), connect(url, retries=0)
        try:
            return await work(LetterReader(reading), LetterChanger(changing))
        finally:
            await reading.aclose()
            await changing.aclose()

    def action(self, name: str, asked: dict[str, Any] | None = None) -> Action:
        return Action(operator_name(), name, asked or {})


@dataclass(slots=True)
class ActionResult:
    """`gone`: those that somebody else replayed, edited or discarded meanwhile. `left` were not looked at:
    somebody said stop, or the ledger failed, which `failure` says."""

    changed: int = 0
    gone: int = 0
    left: int = 0
    failure: CommandError | None = None

    def end(self, said: str, as_json: dict[str, Any] | None) -> None:
        """Say what was done, whatever came in between, and end as that demands."""
        if as_json is not None:
            figures = {said: self.changed, "gone": self.gone, "left": self.left}
            print_json({**as_json, **figures})
        else:
            typer.echo(f"{said} {counted(self.changed, 'letter')}")
            if self.gone:
                typer.echo(f"{counted(self.gone, 'letter')} had gone, or changed, meanwhile")
        if self.failure is not None:
            raise CommandError(
                f"{self.failure}\n  {counted(self.left, 'letter')} left; whether up to "
                f"{min(self.left, PAGE)} of them are {said}, too, is not known: the same command again does "
                "nothing twice"
            )
        if self.left:
            typer.echo(f"numbergroup: stopped: {counted(self.left, 'letter')} left as they were", err=True)
            raise typer.Exit(ExitCode.INTERRUPTED)


def carry_out(
    session: OperatorSession, positions: Sequence[Position], what: str, change: Change
) -> ActionResult:
    """Change the letters at these places, page by page. Ctrl-C lets the page at hand finish."""
    done = ActionResult(left=len(positions))

    async def work(reader: LetterReader, changer: LetterChanger) -> None:
        with interruptible() as stopped, _progress(what, len(positions)) as advance:
            for page in _pages(positions):
                if stopped.is_set():
                    return
                letters = [one for one in await reader.fetch(page) if one is not None]
                answers = await change(reader, changer, letters)
                done.changed += sum(answers)
                done.gone += len(page) - sum(answers)
                done.left -= len(page)
                advance(len(page))

    try:
        session.run(work)
    except CommandError as failure:
        done.failure = failure
    return done


def _pages(positions: Sequence[Position]) -> Iterator[Sequence[Position]]:
    start = size = 0
    for at, position in enumerate(positions):
        if at > start and (at - start >= PAGE or size + position.size > PAGE_BYTES):
            yield positions[start:at]
            start, size = at, 0
        size += position.size
    if positions[start:]:
        yield positions[start:]


@contextmanager
def interruptible() -> Iterator[asyncio.Event]:
    """Within it Ctrl-C only sets the event: whoever works looks at it when a page is done."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    loop.add_signal_handler(signal.SIGINT, stopped.set)
    try:
        yield stopped
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


def confirm(question: str, *, yes: bool) -> None:
    """Raises `typer.Abort` when somebody says no, `typer.BadParameter` where nobody can be asked."""
    if not yes:
        require_terminal(question)
        typer.confirm(question, abort=True, err=True)


def require_terminal(question: str) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{question} Nobody is at a terminal to say so: give --yes")
