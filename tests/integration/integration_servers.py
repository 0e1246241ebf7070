"""Servers for the tests of adapters: a real redis-server as a process of its own, and servers that lie."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

import pytest
from deadlines import deadline, room
from redis import Redis
from redis.exceptions import RedisError

T = TypeVar("T")

_POLL_S = 0.01


async def eventually(condition: Callable[[], Awaitable[T]], what: str, within_s: float = 20.0) -> T:
    """The first true value of `condition`, asked again and again; fails the test when it takes
    longer than `within_s`, with `deadlines.room` for a busy machine."""
    try:
        async with deadline(within_s):
            while not (value := await condition()):
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        pytest.fail(f"not within {room(within_s):g} s: {what}")
    return value


def free_port() -> int:
    """A port on loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A `redis-server` on loopback with its data in `folder`. `durable`: SIGKILL costs it nothing.
    `unix`: the path of a socket at which it listens, too. `cluster`: one node of a cluster.

    Skips the test when there is none on the PATH, unless REQUIRE_SERVERS is set.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = False,
        password: str = "",
        unix: str = "",
        cluster: bool = False,
    ) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            complain = pytest.fail if os.environ.get("REQUIRE_SERVERS") else pytest.skip
            complain("redis-server is not on the PATH")
        self.port = free_port()
        self._password = password
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(folder),
            "save": "",
            "appendonly": "yes" if durable else "no",
            "appendfsync": "always",
            "repl-diskless-sync-delay": "0",
            **({"requirepass": password} if password else {}),
            **({"unixsocket": unix} if unix else {}),
            **({"cluster-enabled": "yes", "cluster-port": str(free_port())} if cluster else {}),
        }
        self._command = [str(binary), *(part for name, one in options.items() for part in (f"--{name}", one))]
        self._log = folder / "redis.log"
        self._written = folder / "appendonlydir"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, again after `kill`; returns when it answers."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(self._command, stdout=out, stderr=out, start_new_session=True)
        client = Redis(port=self.port, password=self._password or None, retry=None)
        try:
            while not self._answers(client):
                if self._process.poll() is not None:
                    pytest.fail("redis-server ended: " + self._log.read_text())
                # Blocks until the process ends or a hundredth of a second has passed.
                try:
                    self._process.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            client.close()

    def _answers(self, client: Redis) -> bool:
        try:
            return bool(client.ping())
        except (RedisError, OSError):
            return False

    def written(self) -> int:
        """How many bytes of writes are on disk: of a `durable` one, all that it has answered."""
        return self._file().stat().st_size

    def lose_writes(self, since: int) -> None:
        """SIGKILL, and start again without what was written `since` then."""
        self.kill()
        with self._file().open("r+b") as file:
            file.truncate(since)
        self.start()

    def _file(self) -> Path:
        (found,) = self._written.glob("*.incr.aof")
        return found

    def kill(self) -> None:
        """SIGKILL: it has no time to write anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@asynccontextmanager
async def answering(say: Callable[[bytes], bytes | None], *, once: bool = False) -> AsyncIterator[str]:
    """A server that answers everything it reads with `say`; None hangs up, as does one answer if `once`."""
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            while data := await reader.read(65_536):
                answer = say(data)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if once:
                    break
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


@asynccontextmanager
async def cutting(url: str, marker: bytes, times: int = 1) -> AsyncIterator[str]:
    """A way to the server at `url`; the answers to the first commands with `marker` get lost on it."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    left = times
    pumps: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        there, back = await asyncio.open_connection(host, port)
        answers = asyncio.create_task(_pump(there, writer))
        pumps.add(answers)
        try:
            while data := await reader.read(65_536):
                if marker in data and left:
                    left -= 1
                    answers.cancel()
                    await asyncio.wait([answers])
                    back.write(data)
                    assert await there.read(65_536)
                    break
                back.write(data)
                await back.drain()
        finally:
            answers.cancel()
            back.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


class SlowWay:
    """A way to the server at `url`: while it is `losing`, the next command with `marker` is kept; who sent
    it is hung up on. `deliver` brings it to the server, as a network may for a socket that is closed."""

    def __init__(self, url: str, marker: bytes) -> None:
        self._place = urlsplit(url).hostname, urlsplit(url).port
        self._marker = marker
        self._kept = b""
        self._pumps: set[asyncio.Task[None]] = set()
        self.losing = False
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._place)
        answers = asyncio.create_task(_pump(there, writer))
        self._pumps.add(answers)
        try:
            while data := await reader.read(65_536):
                if self.losing and self._marker in data:
                    self._kept, self.losing = data, False
                    break
                back.write(data)
                await back.drain()
        finally:
            answers.cancel()
            back.close()
            writer.close()

    async def deliver(self) -> None:
        """Let the server have it; returns when it was carried out."""
        assert self._kept, "nothing was lost"
        there, back = await asyncio.open_connection(*self._place)
        back.write(self._kept)
        answer = await there.read(65_536)
        assert not answer.startswith(b"-"), answer
        back.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
