"""The signals that end a command which runs until it is stopped. Imported first, so it imports little."""

import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_UNTIL_STOPPED = ("run", "sandbox")


def runs_until_stopped(arguments: Sequence[str]) -> bool:
    """Whether the command line is one of a command for which a signal is the normal end."""
    return bool(arguments) and arguments[0] in _UNTIL_STOPPED and "--check" not in arguments


def ending_signals() -> tuple[signal.Signals, ...]:
    """SIGTERM, SIGINT and SIGHUP; the last one not where it was ignored from the start, as under `nohup`."""
    asked = (signal.SIGTERM, signal.SIGINT)
    return asked if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*asked, signal.SIGHUP)


def exit_on_signals() -> None:
    """Let a signal end the process at once, with exit code 0: for a process that has begun nothing yet."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        # An exception could be caught by whatever is being imported.
        os._exit(0)

    for number in ending_signals():
        signal.signal(number, handle)


def call_on_signals(loop: "AbstractEventLoop", action: Callable[[], object]) -> None:
    """Let a signal call `action` in the event loop.

    Not by the event loop's own handlers: closing the loop removes those, and the next signal kills.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)

    for number in ending_signals():
        signal.signal(number, handle)


def ignore_signals() -> None:
    """For a process that winds up: a further signal must not spoil its exit code."""
    for number in ending_signals():
        signal.signal(number, signal.SIG_IGN)
