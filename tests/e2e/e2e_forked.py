"""Starts `numbergroup` again and again, forked from one process that has imported all: of what a short run
costs nine tenths are imports.

A program of its own: `python e2e_forked.py SOCKET`. Each connection to the socket brings one order, a line of
JSON with the fields of `Order`, and gets lines back: the pid, then `stopped` each time the process is frozen,
and its exit code when it has ended (negative: the signal that killed it).
"""

import gc
import json
import os
import random
import select
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from numbergroup.cli import main

_NEEDED = (
    "numbergroup.bootstrap",
    "numbergroup.cli.run",
    "numbergroup.cli.plan",
    "numbergroup.cli.publish",
    "numbergroup.cli.replies",
    "numbergroup.cli.sandbox",
    "numbergroup.cli.dead_letters.operator_session",
    "numbergroup.cli.dead_letters.listing",
    "numbergroup.cli.dead_letters.replaying",
    "numbergroup.cli.status.status_report",
    "numbergroup.sandbox.server",
    "kombu.transport.pyamqp",
    "fakeredis",
    "aiohttp.web",
)


@dataclass(frozen=True)
class Order:
    """`stdin`, `out` and `err` are paths; `more` is for who builds on this."""

    arguments: list[str]
    variables: dict[str, str]
    folder: str
    out: str
    err: str
    stdin: str = os.devnull
    more: dict[str, Any] = field(default_factory=dict)


def become(order: Order) -> None:
    """Be what was ordered, as far as the system knows: a session, files, a folder, an environment."""
    os.setsid()
    os.dup2(os.open(order.stdin, os.O_RDONLY), 0)
    for number, path in (1, order.out), (2, order.err):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.variables)
    # Or all of them would have the same jitter.
    random.seed()
    sys.argv = ["numbergroup", *order.arguments]


def keep(child: int, asked: socket.socket) -> None:
    """Report what becomes of a child of this process."""
    asked.sendall(b"%d\n" % child)
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            asked.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            return
        asked.sendall(b"stopped\n")


def serve(path: str) -> Order:
    """Take orders until standard input ends, with whoever has it open. Returns in each new process."""
    for name in _NEEDED:
        import_module(name)
    # What is shared with the forked stays shared.
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # As on a terminal, also where the tests run under `nohup`.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
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
            # The parent of what was ordered does nothing but to wait for it.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            child = os.fork()
            if not child:
                break
            try:
                keep(child, asked)
            finally:
                os._exit(0)
    return order


if __name__ == "__main__":
    become(serve(sys.argv[1]))
    main()
