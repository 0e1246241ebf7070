"""A RabbitMQ server of the tests' own, on loopback, and what a worker declares on it."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from amqp import Connection, Message
from e2e_processes import Program, eventually, free_port

from contracts import names

# The wrapper that Debian puts on the PATH changes the user, and hangs where it cannot.
_PATH = "/usr/lib/rabbitmq/bin:" + os.environ["PATH"]
_PLUGIN = "rabbitmq_consistent_hash_exchange"


class RabbitServer:
    """One node with its data in `folder`. Skips the test when there is no rabbitmq-server, unless
    REQUIRE_SERVERS is set."""

    def __init__(self, folder: Path, tls: Sequence[Path] = ()) -> None:
        self._folder = folder
        self.port, self.tls_port, distribution, epmd = (free_port() for _ in range(4))
        (folder / "enabled_plugins").write_text("[].")
        options = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", "loopback_users = none"]
        if tls:
            certificate, key = tls
            options += [
                f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
                f"ssl_options.cacertfile = {certificate}",
                f"ssl_options.certfile = {certificate}",
                f"ssl_options.keyfile = {key}",
            ]
        (folder / "rabbitmq.conf").write_text("\n".join(options) + "\n")
        self._variables = {
            "PATH": _PATH,
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_NODENAME": f"e2e-{self.port}@localhost",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        }
        self._program: Program | None = None
        self._hashes = False

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def redacted_url(self) -> str:
        return self.url.replace(":guest@", ":***@")

    def start(self) -> None:
        binary = shutil.which("rabbitmq-server", path=_PATH)
        if binary is None:
            require = pytest.fail if os.environ.get("REQUIRE_SERVERS") else pytest.skip
            require("there is no rabbitmq-server")
        self._program = Program("rabbitmq", [str(binary)], self._folder, self._variables)
        eventually(self._answers, "rabbitmq-server answers", within_s=60)

    def _answers(self) -> bool:
        try:
            with self.channel():
                return True
        except OSError:
            return False

    def ctl(self, *arguments: str, tool: str = "rabbitmqctl") -> None:
        subprocess.run(
            [str(shutil.which(tool, path=_PATH)), "-q", *arguments],
            env=self._variables,
            cwd=self._folder,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def hashes(self, yes: bool) -> None:
        """With or without the plugin for consistent-hash exchanges."""
        if yes != self._hashes:
            self.ctl("enable" if yes else "disable", _PLUGIN, tool="rabbitmq-plugins")
            self._hashes = yes

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """On a connection of its own: tests break others."""
        with Connection(f"127.0.0.1:{self.port}") as connection:
            yield connection.channel()

    def empty(self) -> None:
        """As new, as far as workers and tests have to do with it."""
        with self.channel() as channel:
            for name in (names.COMMANDS, names.REPLIES, *(f"{names.COMMANDS}.{n}" for n in range(4))):
                channel.queue_delete(name)
            channel.exchange_delete(names.EXCHANGE)

    def declare(self, partitions: int = 1, kind: str = "direct", **arguments: object) -> None:
        """What a worker declares before it reads."""
        more = {"x-queue-type": "quorum", "x-single-active-consumer": True} | arguments
        with self.channel() as channel:
            channel.exchange_declare(names.EXCHANGE, kind, durable=True, auto_delete=False)
            for partition in range(partitions):
                queue = names.command_queue(partition, partitions)
                channel.queue_declare(queue, durable=True, auto_delete=False, arguments=more)
                channel.queue_bind(queue, names.EXCHANGE, queue if kind == "direct" else "10")
            channel.queue_declare(names.REPLIES, durable=True, auto_delete=False)

    def put(self, *bodies: bytes, queue: str = names.REPLIES) -> None:
        with self.channel() as channel:
            for body in bodies:
                channel.basic_publish(Message(body, content_type="application/json"), "", queue)
            channel.queue_declare(queue, passive=True)

    def take(self, queue: str = names.COMMANDS) -> list[Any]:
        """Every message of the queue, oldest first; they are gone then."""
        found: list[Any] = []
        with self.channel() as channel:
            count = channel.queue_declare(queue, passive=True).message_count
            # Not by basic.get: quorum queues with a single active consumer do not have it.
            channel.basic_consume(queue, no_ack=True, callback=found.append)
            while len(found) < count:
                channel.connection.drain_events(timeout=10)
        return found

    def end(self) -> None:
        if self._program is None:
            return
        self._program.end()
        # It was started by the node, in a session of its own; it goes when the node is known to be gone.
        epmd = [str(shutil.which("epmd")), "-port", self._variables["ERL_EPMD_PORT"], "-kill"]
        gone = lambda: subprocess.run(epmd, check=False, capture_output=True, timeout=10).stdout  # noqa: E731
        eventually(lambda: b"Killed" in gone(), "epmd ends")
