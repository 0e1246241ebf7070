"""What goes wrong in publishing.

PublishError            not everything was published, or nobody knows whether it was
└── InvalidCommand      (also a ValueError) something among the commands is none
"""

from importlib import import_module
from typing import Any

from numbergroup_contracts.errors import NumbergroupError


class PublishError(NumbergroupError):
    """Not everything was published. `confirmed`: so many commands are safe with the broker.

    Of the others, which need not be the last ones, some may have arrived all the same. To publish all of
    them again is safe: a command that is there already is recognised by its `(source, id)` and applied no
    second time. One that a broker refused comes after those of its group that it had taken.
    """

    def __init__(self, reason: str, confirmed: int = 0) -> None:
        self.reason = reason
        self.confirmed = confirmed

    def __str__(self) -> str:
        return (
            f"{self.reason.rstrip('.')}. {self.confirmed:,} commands are confirmed. "
            "When that is mended, publish all of them again: those that arrived are recognised by source and "
            "id, and applied no second time"
        )


class InvalidCommand(PublishError, ValueError):
    """The command at `index`, counted from 0, is none. Only the first `confirmed` commands were sent."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(problem)
        self.index = index

    def __str__(self) -> str:
        return (
            f"commands[{self.index}] is no command: {self.reason}. "
            f"The first {self.confirmed:,} commands are published, and no others"
        )


def import_optional(module: str, extra: str) -> Any:
    """Import a module of a broker's library, which only those who publish to that broker install.

    Raises ImportError, which names the extra of numbergroup-contracts that installs the library.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"publishing to this broker needs one more library: "
            f"pip install 'numbergroup-contracts[{extra}]' ({error})",
            name=error.name,
        ) from error
