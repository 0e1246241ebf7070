"""The command line: `main` handles signals first, because importing the commands takes a while."""

import sys
from functools import partial

from numbergroup.cli.signals import exit_on_signals, runs_until_stopped


def main() -> None:
    """Run the console script and exit, with an `ExitCode`."""
    if runs_until_stopped(sys.argv[1:]):
        exit_on_signals()

    from numbergroup.cli.app import app
    from numbergroup.cli.error_handling import run_program

    # Help texts use this name, also for `python -m numbergroup`.
    sys.exit(run_program(partial(app, prog_name="numbergroup")))
