"""The exceptions of publishing: see `numbergroup_contracts.errors`."""

from importlib import import_module
from typing import Any

from numbergroup_contracts.errors import NumbergroupError


class PublishError(NumbergroupError):
    """Not everything was published. `confirmed`: how many commands the broker has confirmed.

    Some of the others may have arrived, too, and they need not be the last ones. It is safe to publish all of
    them again: the worker recognises a repeated command by its `(source, id)`, and applies it once. A command
    that the broker refused is then applied after the commands of its group that the broker accepted.
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
    """The command at `index`, counted from 0, is invalid. Only the first `confirmed` commands were sent."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(problem)
        self.index = index

    def __str__(self) -> str:
        return (
            f"commands[{self.index}] is no command: {self.reason}. "
            f"The first {self.confirmed:,} commands are published, and no others"
        )


def import_optional(module: str, extra: str) -> Any:
    """Import a module of a broker's client library, which is an optional requirement.

    Raises `ImportError`, which names the extra of numbergroup-contracts that installs the library.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"publishing to this broker needs one more library: "
            f"pip install 'numbergroup-contracts[{extra}]' ({error})",
            name=error.name,
        ) from error
