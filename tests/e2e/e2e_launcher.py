"""Has `numbergroup` started by a process that has imported all of it: see `e2e_forked`."""

import atexit
import functools
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from e2e_forked import Order

_FORKED = Path(__file__).with_name("e2e_forked.py")


class Launcher:
    """The program that others are forked from."""

    def __init__(self, program: Path = _FORKED) -> None:
        # The path of a socket must be short.
        self._short = TemporaryDirectory(prefix="numbergroup-")
        self._path = str(Path(self._short.name, "socket"))
        self._process = subprocess.Popen(
            [sys.executable, program, self._path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "HOME": self._short.name,
                "LANG": "C.UTF-8",
                "PYTHONPATH": os.pathsep.join([str(_FORKED.parent), str(_FORKED.parents[1])]),
            },
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def ask(self, order: Order) -> "Launched":
        asked = socket.socket(socket.AF_UNIX)
        asked.connect(self._path)
        asked.sendall(json.dumps(vars(order)).encode() + b"\n")
        return Launched(asked)

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        # Not read to its end: what was started and is still there has it open, too.
        self._process.stdout.close()
        self._short.cleanup()


@functools.cache
def launcher() -> Launcher:
    """The one of this process, as long as that lives."""
    found = Launcher()
    atexit.register(found.end)
    return found


class Launched:
    """A process as its parent reports on it; what `Program` needs of `subprocess.Popen`."""

    def __init__(self, asked: socket.socket) -> None:
        self._asked = asked
        self._rest = b""
        self._code: int | None = None
        self.stops = 0
        asked.settimeout(30)
        while b"\n" not in self._rest:
            self._rest += asked.recv(1024)
        pid, _, self._rest = self._rest.partition(b"\n")
        self.pid = int(pid)

    def poll(self) -> int | None:
        return self._hear(0.0)

    def wait(self, timeout: float = 30.0) -> int:
        until = time.monotonic() + timeout
        while (code := self._hear(max(0.001, until - time.monotonic()))) is None:
            assert time.monotonic() < until, f"it does not end within {timeout:g} s"
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            # It may end in between, as with `subprocess`.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _hear(self, within_s: float) -> int | None:
        if self._code is not None:
            return self._code
        self._asked.settimeout(within_s)
        try:
            self._rest += self._asked.recv(1024)
        except (BlockingIOError, TimeoutError):
            return None
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            if line == b"stopped":
                self.stops += 1
            else:
                self._code = int(line)
                self._asked.close()
        return self._code
