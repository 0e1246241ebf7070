"""The command line. It is imported when signals are handled: that takes a while."""

import sys
from functools import partial

from numbergroup.cli.signals import exit_on_signals, runs_until_stopped


def main() -> None:
    """The console script. Exit codes: see `ExitCode`."""
    if runs_until_stopped(sys.argv[1:]):
        exit_on_signals()

    from numbergroup.cli.app import app
    from numbergroup.cli.error_handling import run_program

    # `python -m numbergroup` is called the same in help texts.
    sys.exit(run_program(partial(app, prog_name="numbergroup")))
