"""Starts workers that may die or freeze at a named point, forked from one process that has imported all.

A program of its own: `python faults_launcher.py SOCKET`. Each connection to the socket brings one order, a
line of JSON with the fields of `Order`, and gets lines back: the pid, then `stopped` each time the worker is
frozen, and its exit code when it has ended (negative: the signal that killed it).

In the worker, every point that is reached becomes a line of the file `hits`. At `point`, from the moment on
when the file `armed` exists, another line says so, and the worker sends itself `signal`.
"""

import gc
import hashlib
import json
import os
import select
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from worker import points
from worker.cli import main

HALF_WRITTEN = "request half written"
SCRIPT_SENT = "settling script sent"
OWN_POINTS = frozenset({HALF_WRITTEN, SCRIPT_SENT})
"""What the worker's code cannot name: they are seen in what it writes to its sockets."""
FIRED = "fired at: "

_NEEDED = ("worker.cli.run", "worker.bootstrap", "kombu.transport.pyamqp", "fakeredis", "aiohttp.web")


@dataclass(frozen=True)
class Order:
    variables: dict[str, str]
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
    """Takes the place of `points.reach`."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._fired = False
        self._out = os.open(order.hits, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def reach(self, name: str) -> None:
        self._write(name)
        if self.due(name):
            self.fire()

    def due(self, name: str) -> bool:
        return name == self._order.point and not self._fired and self._order.armed.exists()

    def fire(self) -> None:
        self._fired = True
        self._write(f"{FIRED}{self._order.point}")
        # To this very thread: another one would go on for a moment.
        signal.pthread_kill(threading.get_ident(), self._order.signal)

    def _write(self, line: str) -> None:
        os.write(self._out, f"{line}\n".encode())

    def watch_sockets(self) -> None:
        """See to the points that are in the middle of a write, or just after one."""
        script = files("worker.brokers").joinpath("settle.lua").read_bytes()
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


def work(order: Order) -> None:
    """Be the worker: `numbergroup run`."""
    os.setsid()
    for number, suffix in (1, "out"), (2, "err"):
        os.dup2(os.open(Path(order.folder, f"{order.name}.{suffix}"), os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.variables)
    saboteur = Saboteur(order)
    points.reach = saboteur.reach
    saboteur.watch_sockets()
    sys.argv = ["numbergroup", "run"]
    main()


def keep(worker: int, asked: socket.socket) -> None:
    """Report what becomes of the worker, a child of this process."""
    asked.sendall(b"%d\n" % worker)
    while True:
        _, status = os.waitpid(worker, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            asked.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            return
        asked.sendall(b"stopped\n")


def serve(path: str) -> Order:
    """Take orders until standard input ends, with whoever has it open. Returns in each new worker."""
    for name in _NEEDED:
        import_module(name)
    # What is shared with the forked stays shared.
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(128)
    assert threading.active_count() == 1, "a thread would not be forked"
    os.write(1, b"ready\n")
    while True:
        if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
            sys.exit()
        asked, _ = listener.accept()
        with asked:
            order = Order(**json.loads(asked.makefile("rb").readline()))
            if os.fork():
                continue
            # The worker's parent does nothing but to wait for it.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            worker = os.fork()
            if not worker:
                break
            try:
                keep(worker, asked)
            finally:
                os._exit(0)
    return order


if __name__ == "__main__":
    work(serve(sys.argv[1]))
