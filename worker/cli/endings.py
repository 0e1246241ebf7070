"""How commands end: an error is one line that says what to do, and an exit code; never a traceback."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from worker.text.escaping import escaped

FAILED = 1
USAGE = 2
INTERRUPTED = 130

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class Failure(Exception):
    """A command could not do its work; the message says why, and what would help."""


@contextmanager
def ending() -> Iterator[None]:
    """Turns what a command raises into its message on standard error and its exit code."""
    from worker.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        _say(str(error))
        raise typer.Exit(USAGE) from None
    except Failure as error:
        _say(str(error))
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except typer.Abort as error:
        # A prompt makes the same of Ctrl-C and of the end of input; only a "no" comes out of nothing.
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        typer.echo(err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read our output has gone: `… | head` is no failure.
        _write_no_more()
        raise typer.Exit(0) from None
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _write_no_more()
        _say(f"the output is not complete: {error.strerror}")
        raise typer.Exit(FAILED) from None


def _write_no_more() -> None:
    """What is buffered still would be tried again at the exit."""
    import os
    import sys

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    lines = map(escaped, message.split("\n"))
    typer.echo("numbergroup: " + "\n".join(lines), err=True)
