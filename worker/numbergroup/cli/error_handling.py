"""How commands end: an error is one line that says what to do, and an exit code; never a traceback."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import typer

from numbergroup.cli.exit_codes import ExitCode
from numbergroup.errors import NumbergroupError
from numbergroup.text.escaping import escaped

# What an output may answer: it is full, has gone, was closed, or does not wait.
_UNWRITABLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EAGAIN, errno.ENXIO}
)


class CommandError(NumbergroupError):
    """A command could not do its work; the message says why, and what would help."""


def run_program(app: Callable[[], object]) -> int:
    """Run the command line; its exit code. What could not be written shows in the code, and in a line."""
    _replace_closed_streams()
    try:
        with handle_errors():
            app()
        code = int(ExitCode.DONE)
    except typer.Exit as end:
        code = end.exit_code
    except SystemExit as end:
        code = _code(end)
    return _flushed(code)


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turns what a command raises into its message on standard error and its exit code."""
    from numbergroup.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        more = f"\nand {len(error.others)} more: numbergroup run --check lists all" if error.others else ""
        _print_error(f"{error}{more}")
        raise typer.Exit(ExitCode.USAGE) from None
    except CommandError as error:
        _print_error(str(error))
        raise typer.Exit(ExitCode.FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except typer.Abort as error:
        # A prompt makes the same of Ctrl-C and of the end of input; only a "no" comes out of nothing.
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        with suppress(OSError):
            typer.echo(err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError as error:
        # Whoever read our output has gone: `… | head` is no failure. A mistake on the command line stays one.
        _drop_output()
        raise typer.Exit(getattr(error.__context__, "exit_code", ExitCode.DONE)) from None
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _drop_output()
        code = getattr(error.__context__, "exit_code", ExitCode.FAILED)
        _print_error(f"the output is not complete: {error.strerror}")
        raise typer.Exit(code) from None


def _replace_closed_streams() -> None:
    """A stream that is closed is as one of /dev/null: what is opened later must not get its number, or our
    output would go there."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number and not _is_open(number):
            os.dup2(opened, number)
            os.close(opened)
            opened = number
        setattr(sys, name, os.fdopen(opened, "w" if number else "r", encoding="utf-8"))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _code(end: SystemExit) -> int:
    if isinstance(end.__context__, BrokenPipeError):
        # Typer takes a reader that has gone for a failure; a mistake on the command line stays one.
        return int(getattr(end.__context__.__context__, "exit_code", ExitCode.DONE))
    return end.code if isinstance(end.code, int) else ExitCode.FAILED if end.code else ExitCode.DONE


def _flushed(code: int) -> int:
    """Write what is buffered now: failing at the end of the process, it would end with a code of Python's."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_rest(sys.stdout)
    except (OSError, ValueError) as error:
        _discard_rest(sys.stdout)
        _print_error(f"the output is not complete: {getattr(error, 'strerror', None) or error}")
        code = code or ExitCode.FAILED
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        _discard_rest(sys.stderr)
    return code


def _drop_output() -> None:
    """What is buffered still would be tried again at the exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _discard_rest(stream)


def _discard_rest(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        stream.flush()


def _print_error(message: str) -> None:
    lines = map(escaped, message.split("\n"))
    with suppress(OSError, ValueError):
        typer.echo("numbergroup: " + "\n".join(lines), err=True)
