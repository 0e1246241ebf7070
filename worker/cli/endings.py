"""How commands end: an error is one line that says what to do, and an exit code; never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

FAILED = 1
USAGE = 2


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
        raise typer.Exit(130) from None
    except BrokenPipeError:
        # Whoever read our output has gone: `… | head` is no failure.
        import os
        import sys

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def _say(message: str) -> None:
    typer.echo(f"numbergroup: {message}", err=True)
