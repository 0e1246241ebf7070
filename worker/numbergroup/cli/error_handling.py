"""Turns errors into a message that says what to do and an exit code; never into a traceback."""

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

# Errors of writing to an output that is full, gone, closed or non-blocking.
_UNWRITABLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EAGAIN, errno.ENXIO}
)


class CommandError(NumbergroupError):
    """A command failed. The message says why, and what to do."""


def run_program(app: Callable[[], object]) -> int:
    """Run the command line and return its exit code. Output that cannot be written is a failure."""
    _replace_closed_streams()
    try:
        with handle_errors():
            app()
        code = int(ExitCode.DONE)
    except typer.Exit as end:
        code = end.exit_code
    except SystemExit as end:
        code = _exit_code_of(end)
    return _flush_output(code)


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn errors of a command into a message on standard error, and into `typer.Exit` with an exit code."""
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
        # A prompt raises `Abort` from Ctrl-C and from the end of input. For the answer "no" it has no cause.
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        with suppress(OSError):
            typer.echo(err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError as error:
        # The reader has closed the pipe (`… | head`): no failure. A usage error keeps its exit code.
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
    """Replace closed standard streams by /dev/null.

    A file that is opened later would get the stream's number otherwise, and our output would go there.
    """
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


def _exit_code_of(end: SystemExit) -> int:
    if isinstance(end.__context__, BrokenPipeError):
        # Typer exits with 1 for a closed pipe. A usage error keeps its exit code.
        return int(getattr(end.__context__.__context__, "exit_code", ExitCode.DONE))
    return end.code if isinstance(end.code, int) else ExitCode.FAILED if end.code else ExitCode.DONE


def _flush_output(code: int) -> int:
    """Write what is buffered, and return the exit code.

    Were it written at the end of the process, a failure would give an exit code of Python's own.
    """
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
    """Discard what is buffered, so that it is not written at the exit."""
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
