"""What all cases of a sweep share: one vendor, one Redis, one RabbitMQ, one launcher.

Each case has a customer, a database and a vhost of its own in them.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import pytest
from e2e_processes import Program, environment, eventually, free_port
from e2e_rabbit import Rabbit
from e2e_stage import SECRET, Stage, Vendor, Worker
from faults_launcher import FIRED, Order
from redis import Redis
from redis.exceptions import RedisError

CUSTOMERS = 256
_LAUNCHER = Path(__file__).with_name("faults_launcher.py")


class Launcher:
    """The program that workers are forked from."""

    def __init__(self, folder: Path) -> None:
        # The path of a socket must be short: the folder's may be too long.
        self._short = TemporaryDirectory(prefix="numbergroup-")
        self._path = str(Path(self._short.name, "socket"))
        self._process = subprocess.Popen(
            [sys.executable, _LAUNCHER, self._path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(folder, {}) | {"PYTHONPATH": str(_LAUNCHER.parents[2])},
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
        # Not read to its end: workers that are still there have it open, too.
        self._process.stdout.close()
        self._short.cleanup()


class Launched:
    """A worker as its parent reports on it; what `Program` needs of `subprocess.Popen`."""

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
            assert time.monotonic() < until, f"the worker does not end within {timeout:g} s"
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
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


class LaunchedWorker(Worker):
    """`numbergroup run`, forked from the launcher; `point`: where it sends itself `number`, when armed."""

    def __init__(
        self,
        launcher: Launcher,
        name: str,
        folder: Path,
        variables: Mapping[str, str],
        point: str,
        number: int,
    ) -> None:
        self._launcher = launcher
        self._order = Order(dict(variables), str(folder), name, point, number)
        super().__init__(name, (), folder, variables)
        self.crashed = bool(point)

    def _start(self, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Launched:
        for file in (*self._files, self._order.hits):
            file.touch()
        return self._launcher.ask(self._order)

    def arm(self) -> None:
        self._order.armed.touch()

    @property
    def hits(self) -> list[str]:
        """The points that it has reached, in order, and `FIRED` where it sent itself the signal."""
        return self._order.hits.read_text().splitlines()

    @property
    def down(self) -> bool:
        """Whether it has ended or is frozen."""
        return not self.alive or self._process.stops > 0

    @property
    def fired(self) -> bool:
        return f"{FIRED}{self._order.point}" in self.hits


class Customer:
    """The vendor, as one of its customers sees it."""

    def __init__(self, vendor: Vendor, number: int) -> None:
        self._vendor = vendor
        self.key = _key(number)
        self.url = vendor.url
        self._since_ms = time.time_ns() // 1_000_000

    def groups(self) -> dict[str, set[str]]:
        return self._vendor.groups(self.key)

    def calls(self) -> list[dict[str, Any]]:
        return [call for call in self._vendor.calls(self._since_ms) if call["accessKey"] == self.key]


def _key(number: int) -> str:
    return f"customer-{number}"


def vendor(folder: Path) -> Vendor:
    accounts = {}
    for number in range(CUSTOMERS):
        accounts[f"ACCOUNTS__C{number}__ACCESS_KEY"] = _key(number)
        accounts[f"ACCOUNTS__C{number}__ACCESS_SECRET"] = SECRET
    return Vendor(folder, **accounts)


class Databases:
    """A `redis-server` with a database for every case."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            complain = pytest.fail if os.environ.get("REQUIRE_SERVERS") else pytest.skip
            complain("redis-server is not on the PATH")
        self.port = free_port()
        options = {"port": self.port, "bind": "127.0.0.1", "dir": folder, "save": "", "databases": CUSTOMERS}
        arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        self._program = Program("redis", [str(binary), *arguments], folder, {})
        eventually(self._answers, "redis-server answers")

    def _answers(self) -> bool:
        try:
            with Redis(port=self.port) as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False

    def end(self) -> None:
        self._program.end()


class Database:
    """What a stage needs of its `RedisServer`."""

    crashed = False

    def __init__(self, server: Databases, number: int) -> None:
        self.url = f"redis://127.0.0.1:{server.port}/{number}"
        self.client: Any = Redis.from_url(self.url, socket_timeout=10)

    def end(self) -> None:
        self.client.close()


class SharedRabbit(Rabbit):
    """One RabbitMQ, which answers one thread after the other.

    `erl_call` fails to connect now and then, while others on the machine use it: then it is called again.
    """

    def __init__(self, folder: Path) -> None:
        self._one = Lock()
        super().__init__(folder)

    def _ask(self, expression: str) -> str:
        answers: list[str] = []

        def answered() -> bool:
            try:
                answers.append(super(SharedRabbit, self)._ask(expression))
            except AssertionError as error:
                if "failed to connect" not in str(error):
                    raise
            return bool(answers)

        with self._one:
            eventually(answered, "RabbitMQ's node answers")
        return answers[0]


def launch(
    stage: Stage, launcher: Launcher, point: str = "", number: int = 0, **settings: str
) -> LaunchedWorker:
    """Start one more worker of the stage."""
    name = f"worker{len(stage.workers) + 1}"
    variables = environment(stage.folder, stage.settings | settings)
    worker = LaunchedWorker(launcher, name, stage.folder, variables, point, number)
    stage.workers.append(worker)
    return worker
