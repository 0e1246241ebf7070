"""What all cases of a sweep share: one vendor, one Redis, one RabbitMQ, one launcher.

Each case has a customer, a database and a vhost of its own in them.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from chaos_launcher import FIRED, Plot
from deadlines import room
from e2e_forked import Order
from e2e_launcher import Launched, Launcher
from e2e_processes import Program, environment, eventually, free_port
from e2e_rabbit import Rabbit
from e2e_stage import SECRET, Stage, Vendor, Worker
from redis import Redis
from redis.exceptions import RedisError

CUSTOMERS = 256
LAUNCHER = Path(__file__).with_name("chaos_launcher.py")
"""The program that workers are forked from."""


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
        *,
        armed: bool,
    ) -> None:
        self._launcher = launcher
        self._plot = Plot(str(folder), name, point, number)
        if armed:
            self.arm()
        super().__init__(name, ["run"], folder, variables)
        self.crashed = bool(point)

    def _start(self, arguments: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Launched:
        for file in (*self._files, self._plot.hits):
            file.touch()
        out, err = (str(file) for file in self._files)
        order = Order([*arguments], dict(variables), str(folder), out, err, more=vars(self._plot))
        return self._launcher.ask(order)

    def arm(self) -> None:
        self._plot.armed.touch()

    @property
    def hits(self) -> list[str]:
        """The points that it has reached, in order, and `FIRED` where it sent itself the signal."""
        return self._plot.hits.read_text().splitlines()

    @property
    def down(self) -> bool:
        """Whether it has ended or is frozen."""
        return not self.alive or self._process.stops > 0

    @property
    def fired(self) -> bool:
        return f"{FIRED}{self._plot.point}" in self.hits


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
        self.client: Any = Redis.from_url(self.url, socket_timeout=room(10))

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
    stage: Stage,
    launcher: Launcher,
    point: str = "",
    number: int = 0,
    *,
    armed: bool = False,
    **settings: str,
) -> LaunchedWorker:
    """Start one more worker of the stage; `armed` from the start on."""
    name = f"worker{len(stage.workers) + 1}"
    variables = environment(stage.folder, stage.settings | settings)
    worker = LaunchedWorker(launcher, name, stage.folder, variables, point, number, armed=armed)
    stage.workers.append(worker)
    return worker
