"""A `rabbitmq-server` of the tests' own: on loopback, with its data in a folder, to be killed and frozen."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from amqp.exceptions import AMQPError
from deadlines import room
from kombu import Connection

_BINARIES = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
_PLUGIN = "rabbitmq_consistent_hash_exchange"
_START_S = room(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RabbitServer:
    """Skips the test when there is none on the machine, unless REQUIRE_SERVERS is set.

    `hashing`: with the plugin for consistent-hash exchanges. What it has confirmed survives `kill`.
    """

    def __init__(self, folder: Path, *, hashing: bool = False, conf: str = "") -> None:
        # Debian's wrapper on the PATH changes the user, and hangs as root.
        binary = next((found for name in _BINARIES if (found := shutil.which(name))), None)
        if binary is None:
            complain = pytest.fail if os.environ.get("REQUIRE_SERVERS") else pytest.skip
            complain("rabbitmq-server is not on this machine")
        self.folder = folder
        self.port, self._dist = _free_port(), _free_port()
        self.node = f"ng-{self.port}@localhost"
        (folder / "plugins").write_text(f"[{_PLUGIN if hashing else ''}].")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nloopback_users = none\n{conf}"
        )
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Two cores: a scheduler for each would spin for work that is not there.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }
        self._binary = str(binary)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start it, again after `kill`; returns when it answers."""
        with (self.folder / "out.log").open("ab") as out:
            self._process = subprocess.Popen(
                [self._binary], env=self.environment, stdout=out, stderr=out, start_new_session=True
            )
        until = time.monotonic() + _START_S
        while not self.answers():
            try:
                # Blocks until the process ends or a tenth of a second has passed.
                self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                if time.monotonic() < until:
                    continue
            self.kill()
            pytest.fail("rabbitmq-server does not start: " + (self.folder / "out.log").read_text())

    def answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.connect()
        except (OSError, AMQPError):
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, to all of its processes."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(room(20))
            self._process = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def control(self, *arguments: str, tool: str = "rabbitmqctl") -> str:
        """What the tool prints."""
        command = [str(Path(self._binary).with_name(tool)), "-n", self.node, "-q", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=room(30)
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def depth(self, queue: str) -> int:
        """How many messages are ready in the queue."""
        with Connection(self.url) as connection:
            channel: Any = connection.channel()
            return int(channel.queue_declare(queue, passive=True).message_count)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, number)
