"""Handles the signals that end a command. It is imported first, so it imports little."""

import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_RUN_UNTIL_STOPPED = ("run", "sandbox")


def runs_until_stopped(arguments: Sequence[str]) -> bool:
    """Return whether the command runs until a signal stops it, so that a signal is its normal end."""
    return bool(arguments) and arguments[0] in _RUN_UNTIL_STOPPED and "--check" not in arguments


def termination_signals() -> tuple[signal.Signals, ...]:
    """Return SIGTERM, SIGINT and SIGHUP; without SIGHUP where it is ignored from the start (`nohup`)."""
    always = (signal.SIGTERM, signal.SIGINT)
    return always if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*always, signal.SIGHUP)


def exit_on_signals() -> None:
    """Make a signal end the process at once with exit code 0, while the process has begun nothing yet."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        # A module that is being imported could catch an exception.
        os._exit(0)

    for number in termination_signals():
        signal.signal(number, handle)


def call_on_signals(loop: "AbstractEventLoop", action: Callable[[], object]) -> None:
    """Make a signal call `action` in the event loop.

    The event loop's own handlers are not used: closing the loop removes them, and the next signal would kill
    the process.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)

    for number in termination_signals():
        signal.signal(number, handle)


def ignore_signals() -> None:
    """Ignore further signals while the process ends, so that they do not change its exit code."""
    for number in termination_signals():
        signal.signal(number, signal.SIG_IGN)
