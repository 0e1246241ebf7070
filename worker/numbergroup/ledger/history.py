"""Binds commands to the history of a Redis server, so that a server that lost writes never receives them.

A restarted server may have lost its last writes, and so may a replica that became the primary. Each new
connection detects it: the process (`run_id`) or the data set (`master_replid`) is another one. A cursor,
epoch or serial of the old history means nothing to such a server.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from numbergroup.errors import ServerError


class HistoryChanged(ServerError):
    """The server's history is not the one that the command relies on. The command was not sent."""


@dataclass(slots=True, frozen=True)
class History:
    """Identifies a server process and its data set.

    Both are empty for a server without `INFO`, whose histories cannot be distinguished.
    """

    run_id: str = ""
    replication_id: str = ""


@dataclass(slots=True)
class Server:
    """What the connections of one client know of their server.

    `current` is the history that the newest connection found; `None` before the first connection.
    """

    current: History | None = None
    generation: int = 0
    has_info: bool = True

    def renew_connections(self) -> None:
        """Make every connection reconnect before its next use."""
        self.generation += 1


_required: ContextVar[History | None] = ContextVar("required", default=None)


@contextmanager
def bound_to(history: History | None) -> Iterator[None]:
    """Require this history of the server for all commands within, also in tasks that are started within.

    With another history, commands raise `HistoryChanged`. `None` requires nothing.
    """
    token = _required.set(history)
    try:
        yield
    finally:
        _required.reset(token)


def required_history() -> History | None:
    """Return the history that commands of the current context require."""
    return _required.get()
