"""What a worker remembers of a Redis server holds for that server's history only.

A server that was restarted may have lost its last writes, and so may a replica that took over. Both show
when a connection is made: the process (`run_id`) or the data set (`master_replid`) is another one. A cursor,
an epoch or a serial of the former history means nothing to such a server: no command that relies on one may
reach it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class HistoryChanged(Exception):
    """The server has another history than the one that the command relies on. The command was not sent."""


@dataclass(slots=True, frozen=True)
class History:
    """The server process that answers, and the data set that it has. Both are empty for a server without
    `INFO`: its histories cannot be told apart."""

    run_id: str = ""
    replication_id: str = ""


@dataclass(slots=True)
class Server:
    """What the connections of one client have found out about their server.

    `current` is the history that the newest connection has found; `None` before the first one.
    """

    current: History | None = None
    generation: int = 0
    has_info: bool = True

    def renew_connections(self) -> None:
        """Have every connection made anew before it is used again."""
        self.generation += 1


_required: ContextVar[History | None] = ContextVar("required", default=None)


@contextmanager
def bound_to(history: History | None) -> Iterator[None]:
    """Commands that are sent within, also by tasks that are started within, raise `HistoryChanged` on
    a connection to a server with another history. `None`: any history will do."""
    token = _required.set(history)
    try:
        yield
    finally:
        _required.reset(token)


def required_history() -> History | None:
    """The history that the commands of this context rely on."""
    return _required.get()
