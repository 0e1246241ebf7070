"""The exit codes of all commands."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command. Only a signal that is not handled ends it otherwise."""

    DONE = 0
    """The command did what was asked. Also when the reader of its output has stopped reading (`… | head`)."""
    FAILED = 1
    """A server does not answer or refuses, a file is wrong, or not everything was done."""
    USAGE = 2
    """Arguments or settings are wrong: nothing was done. Correct them before you try again."""
    DIFFERENT = 3
    """`groups diff --exit-code` found differences."""
    INTERRUPTED = 130
    """Ctrl-C, as in a shell. What was done before stays done."""
