"""With which code the program ends: one table for all commands."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Nothing else ends a command, but for signals that nobody catches."""

    DONE = 0
    """It did what was asked; also when whoever read its output had read enough (`… | head`)."""
    FAILED = 1
    """It could not: a server does not answer or refuses, a file is wrong, not all of it was done."""
    USAGE = 2
    """Arguments or settings are wrong: nothing was done, and the same again will not help."""
    DIFFERENT = 3
    """`groups diff --exit-code` found differences."""
    INTERRUPTED = 130
    """Ctrl-C, as a shell has it; what was done until then stays."""
