"""Starts workers that may die or freeze at a named point: see `e2e_forked`.

In the worker, every point that is reached becomes a line of the file `hits`. At `point`, from the moment on
when the file `armed` exists, another line says so, and the worker sends itself `signal`.
"""

import hashlib
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from e2e_forked import become, serve

from numbergroup.cli import main
from numbergroup.observability import failpoints

HALF_WRITTEN = "request half written"
SCRIPT_SENT = "settling script sent"
OWN_POINTS = frozenset({HALF_WRITTEN, SCRIPT_SENT})
"""What the worker's code cannot name: they are seen in what it writes to its sockets."""
FIRED = "fired at: "


@dataclass(frozen=True)
class Plot:
    """Of the worker `name`, whose files are in `folder`."""

    folder: str
    name: str
    point: str = ""
    signal: int = 0

    @property
    def hits(self) -> Path:
        return Path(self.folder, f"{self.name}.hits")

    @property
    def armed(self) -> Path:
        return Path(self.folder, f"{self.name}.armed")


class Saboteur:
    """Takes the place of `failpoints.hit`."""

    def __init__(self, plot: Plot) -> None:
        self._plot = plot
        self._fired = False
        self._out = os.open(plot.hits, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def reach(self, name: str) -> None:
        self._write(name)
        if self.due(name):
            self.fire()

    def due(self, name: str) -> bool:
        return name == self._plot.point and not self._fired and self._plot.armed.exists()

    def fire(self) -> None:
        self._fired = True
        self._write(f"{FIRED}{self._plot.point}")
        # To this very thread: another one would go on for a moment.
        signal.pthread_kill(threading.get_ident(), self._plot.signal)

    def _write(self, line: str) -> None:
        os.write(self._out, f"{line}\n".encode())

    def watch_sockets(self) -> None:
        """See to the points that are in the middle of a write, or just after one."""
        script = files("numbergroup.brokers.redis").joinpath("settle.lua").read_bytes()
        settling = hashlib.sha1(script).hexdigest().encode()
        send = socket.socket.send

        def watched(sock: socket.socket, data: Any, *flags: int) -> int:
            written = bytes(data)
            if written.startswith(b"POST "):
                self._write(HALF_WRITTEN)
                if self.due(HALF_WRITTEN):
                    half = send(sock, written[: len(written) // 2], *flags)
                    self.fire()
                    return half
            sent = send(sock, data, *flags)
            if b"EVALSHA" in written and settling in written:
                self.reach(SCRIPT_SENT)
            return sent

        def watched_parts(sock: socket.socket, parts: Any) -> int:
            return watched(sock, b"".join(parts))

        # Which of the two asyncio uses depends on the version of Python.
        vars_of_class: Any = socket.socket
        vars_of_class.send, vars_of_class.sendmsg = watched, watched_parts


if __name__ == "__main__":
    order = serve(sys.argv[1])
    become(order)
    saboteur = Saboteur(Plot(**order.more))
    failpoints.hit = saboteur.reach
    saboteur.watch_sockets()
    main()
