"""Programs of a measurement's own, on loopback: started, measured, frozen, ended."""

import asyncio
import contextlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.request import urlopen

from redis.asyncio import Redis

_TICKS = os.sysconf("SC_CLK_TCK")
_START_S = 60.0
_STOP_S = 10.0
# Debian's wrapper on the PATH changes the user, and hangs as root.
_RABBITMQ = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
_VHOST = """rabbit_vhost:add(<<"{vhost}">>, <<"bench">>), rabbit_auth_backend_internal:set_permissions(
  <<"guest">>, <<"{vhost}">>, <<".*">>, <<".*">>, <<".*">>, <<"bench">>).
"""
_NO_VHOST = 'rabbit_vhost:delete(<<"{vhost}">>, <<"bench">>).\n'


class Tree:
    """A process and all that it has started, as /proc shows them (Linux)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def pids(self) -> list[int]:
        """Those that live, the root first."""
        found = [self.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    found += map(int, (thread / "children").read_text().split())
        return [pid for pid in found if Path(f"/proc/{pid}").exists()]

    def cpu_s(self) -> float:
        """Seconds of processor time since the start, user and system, of children that have ended, too."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                # After the name, which may have spaces: utime, stime, cutime, cstime are fields 14 to 17.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
        return ticks / _TICKS

    def peak_mb(self) -> float:
        """The largest resident memory that each process has had (VmHWM), summed, in MB of 10⁶ bytes. What
        several processes share counts for each of them."""
        kib = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        kib += int(line.split()[1])
        return kib * 1024 / 1e6

    def freeze(self) -> None:
        """Stop every process of it, until `thaw`."""
        stopped: set[int] = set()
        # What is stopped starts no more, but may have started one since it was looked for.
        while fresh := [pid for pid in self.pids() if pid not in stopped]:
            self._send(signal.SIGSTOP, fresh)
            stopped.update(fresh)

    def thaw(self) -> None:
        self._send(signal.SIGCONT, self.pids())

    def _send(self, number: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Ended(Exception):
    """A program that should have gone on has ended; with the last that it said."""


class Program(Tree):
    """One that was started here."""

    def __init__(self, command: Sequence[str], process: "subprocess.Popen[bytes]", said: IO[bytes]) -> None:
        super().__init__(process.pid)
        self._command = shlex.join(command)
        self._process = process
        self._said = said

    def check(self) -> None:
        """Raises `Ended`."""
        if self._process.poll() is not None:
            raise Ended(f"{self._command} ended with {self._process.returncode}:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of what it has printed."""
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - 2_000))
        return self._said.read().decode(errors="replace")

    def end(self) -> None:
        """SIGTERM, and after ten seconds SIGKILL to all of its session."""
        self.thaw()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def end_well() -> None:
    """Let SIGTERM (`timeout` sends it) end what was started here, too: it would go on alone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running(*command: str, environment: dict[str, str] | None = None) -> Iterator[Program]:
    """The program, until the end of the block; what it prints is kept for `last_words`."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        program = Program(command, process, said)
        try:
            yield program
        finally:
            program.end()


@contextmanager
def redis_server() -> Iterator[int]:
    """A redis-server that keeps nothing on disk; its port. Ends the program where there is none."""
    with redis_program() as (port, _):
        yield port


@contextmanager
def redis_program() -> Iterator[tuple[int, Tree]]:
    """As `redis_server`, with what can be measured of it; returns when it answers."""
    if shutil.which("redis-server") is None:
        sys.exit("bench: redis-server is not on the PATH")
    port = free_port()
    server = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    with tempfile.TemporaryDirectory() as folder, running(*server, "--dir", folder) as program:
        _until(lambda: _listens(port), program, "redis-server")
        yield port, program


class RabbitMQ(Tree):
    """A rabbitmq-server, with an empty vhost for every run."""

    def __init__(self, program: Program, port: int, environment: dict[str, str]) -> None:
        super().__init__(program.pid)
        self.port = port
        self._environment = environment

    @contextmanager
    def vhost(self) -> Iterator[str]:
        """The URL of an empty vhost, which is gone with the block."""
        vhost = secrets.token_hex(4)
        self._ask(_VHOST.format(vhost=vhost))
        try:
            yield f"amqp://guest:guest@127.0.0.1:{self.port}/{vhost}"
        finally:
            self._ask(_NO_VHOST.format(vhost=vhost))

    def _ask(self, expression: str) -> None:
        # Not rabbitmqctl, which takes seconds.
        cookie = (Path(self._environment["HOME"]) / ".erlang.cookie").read_text()
        node = self._environment["RABBITMQ_NODENAME"]
        asking = ["erl_call", "-sname", node, "-c", cookie, "-e"]
        done = subprocess.run(
            asking, input=expression, capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.startswith("{ok,"), done.stdout


def has_rabbitmq() -> bool:
    """Whether there is one on this machine."""
    return any(map(shutil.which, _RABBITMQ)) and shutil.which("erl_call") is not None


@contextmanager
def rabbitmq_server() -> Iterator[RabbitMQ]:
    """A rabbitmq-server with its data in a folder that is gone with the block. Its schedulers do not spin
    for work (`+sbwt none`): that would be taken from those that are measured beside it."""
    binary = next(filter(None, map(shutil.which, _RABBITMQ)))
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plugins").write_text("[].")
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
        environment = {
            "HOME": name,
            "RABBITMQ_NODENAME": f"bench-{port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }
        with running(binary, environment=environment) as program:
            _until(lambda: _listens(port), program, "rabbitmq-server")
            yield RabbitMQ(program, port, environment)


@contextmanager
def stub(latency_ms: float = 20) -> Iterator["Stub"]:
    """`bench.vendor`."""
    port = free_port()
    command = [sys.executable, "-m", "bench.vendor", "--port", str(port), "--latency-ms", str(latency_ms)]
    with running(*command) as program:
        _until(lambda: _listens(port), program, "the stub of the vendor's API")
        yield Stub(port)


class Stub:
    """The vendor's API, as `bench.vendor` has it."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.url = f"{self.origin}/api/pns/"

    def calls(self) -> int:
        """How many API calls there were so far."""
        with urlopen(f"{self.origin}/count", timeout=10) as answer:
            return int(answer.read())


def _listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


def _until(ready: Callable[[], bool], program: Program, name: str) -> None:
    deadline = time.monotonic() + _START_S
    while not ready():
        program.check()
        if time.monotonic() > deadline:
            raise Ended(f"{name} does not start:\n{program.last_words()}")
        time.sleep(0.02)


async def connected(client: Redis) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + 20
    while True:
        try:
            await client.ping()
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return
