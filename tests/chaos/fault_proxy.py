"""A way over TCP on which things go wrong when they are told to, while it is used."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self, TypeVar

T = TypeVar("T")

_CHUNK = 65_536
_AT_ONCE = 50
_STOP_S = 10.0


class Way(Enum):
    THERE = "from the client to the server"
    BACK = "from the server to the client"


class End(Enum):
    RST = "reset"
    FIN = "closed in order"


BOTH = (Way.THERE, Way.BACK)


@dataclass(slots=True)
class _Cut:
    """The connection on which `marker` goes there first ends after so many more bytes of `way`."""

    way: Way
    after: int
    marker: bytes
    end: End


class _Connection:
    """Two streams. `passed` and `limits` are in bytes, by the way they go."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._writers = client, server
        self.passed = dict.fromkeys(Way, 0)
        self.limits: dict[Way, int] = {}
        self.tail = b""
        self.lost = False

    def end(self, how: End) -> None:
        for writer in self._writers:
            if how is End.RST:
                # Lingering for no time at all is what makes a close a reset (RFC 1122, 4.2.2.13).
                sock: Any = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()


class FaultProxy:
    """Between clients and the server on loopback at `target`; its event loop has a thread of its own.

    `fired` counts what it did: `cut` and `refused` connections, and bytes `dropped`, `stalled`, `slowed`.
    """

    def __init__(self, target: int) -> None:
        self.fired: Counter[str] = Counter()
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy")
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._dropping: frozenset[Way] = frozenset()
        self._stalling: frozenset[Way] = frozenset()
        self._moving = asyncio.Event()
        self._bytes_per_s = 0
        self._refusing = False
        self._cut: _Cut | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_S)
        self._loop.close()

    def heal(self) -> None:
        """Let everything pass. A connection that has lost bytes is reset: what follows would be nonsense."""

        async def change() -> None:
            self._dropping = self._stalling = frozenset()
            self._bytes_per_s, self._refusing, self._cut = 0, False, None
            self._moving.set()
            for connection in [one for one in self._connections if one.lost]:
                connection.end(End.RST)

        self._do(change)

    def drop(self, *ways: Way) -> None:
        """What goes these ways vanishes; connections stay, and new ones are accepted."""

        async def change() -> None:
            self._dropping = frozenset(ways)

        self._do(change)

    def stall(self, *ways: Way) -> None:
        """What goes these ways is held, and goes on when healed."""

        async def change() -> None:
            self._stalling = frozenset(ways)
            self._moving.clear()

        self._do(change)

    def slow(self, bytes_per_s: int) -> None:
        """No more than that goes either way, on each connection."""

        async def change() -> None:
            self._bytes_per_s = bytes_per_s

        self._do(change)

    def refuse(self) -> None:
        """Reset new connections; those that are open live on."""

        async def change() -> None:
            self._refusing = True

        self._do(change)

    def cut(self, way: Way, after: int, marker: bytes, end: End = End.RST) -> None:
        """End one connection: the first on which `marker` goes there, `after` bytes of `way` later, counted
        from the marker's end (`BACK`: from the next byte that comes back)."""

        async def change() -> None:
            self._cut = _Cut(way, after, marker, end)

        self._do(change)

    def lead_to(self, target: int, *, hang_up: bool = True) -> None:
        """Another server on loopback, for those who connect from now on; by default all connections end."""

        async def change() -> None:
            self._target = target

        self._do(change)
        if hang_up:
            self.hang_up()

    def hang_up(self, end: End = End.RST) -> None:
        """End all connections now."""

        async def change() -> None:
            for connection in [*self._connections]:
                self.fired["cut"] += 1
                connection.end(end)

        self._do(change)

    def _do(self, change: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await change()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_STOP_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._moving.set()

    async def _stop(self) -> None:
        self._server.close()
        self._bytes_per_s = 0
        self._moving.set()
        for connection in [*self._connections]:
            connection.end(End.RST)
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=_STOP_S / 2)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._refusing:
            self.fired["refused"] += 1
            _Connection(writer, writer).end(End.RST)
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, to_server)
        self._connections.add(connection)
        pumps = [
            asyncio.create_task(self._pump(connection, Way.THERE, reader, to_server)),
            asyncio.create_task(self._pump(connection, Way.BACK, from_server, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            connection.end(End.FIN)
            self._connections.discard(connection)

    async def _pump(
        self, connection: _Connection, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(self._portion()):
                if way in self._stalling:
                    self.fired["stalled"] += len(data)
                    await self._moving.wait()
                if way in self._dropping:
                    self.fired["dropped"] += len(data)
                    connection.lost = True
                    continue
                if not await self._pass_on(connection, way, data, writer):
                    return

    async def _pass_on(
        self, connection: _Connection, way: Way, data: bytes, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection goes on."""
        if way is Way.THERE:
            self._look_for_marker(connection, data)
        if self._bytes_per_s:
            # Before, not after: what was being read when it began is slow, too.
            self.fired["slowed"] += len(data)
            await asyncio.sleep(len(data) / self._bytes_per_s)
        room = connection.limits.get(way, connection.passed[way] + len(data)) - connection.passed[way]
        writer.write(data[:room])
        connection.passed[way] += len(data[:room])
        await writer.drain()
        if room < len(data):
            assert self._cut is not None
            self.fired["cut"] += 1
            end, self._cut = self._cut.end, None
            connection.end(end)
            return False
        return True

    def _portion(self) -> int:
        return max(1, self._bytes_per_s // _AT_ONCE) if self._bytes_per_s else _CHUNK

    def _look_for_marker(self, connection: _Connection, data: bytes) -> None:
        """Set the connection's limit, if this is the one to be cut. The marker may come in two pieces."""
        cut = self._cut
        if cut is None or any(one.limits for one in self._connections):
            return
        seen = connection.tail + data
        at = seen.find(cut.marker)
        if at < 0:
            connection.tail = seen[len(seen) - len(cut.marker) + 1 :] if len(cut.marker) > 1 else b""
            return
        if cut.way is Way.THERE:
            behind = at + len(cut.marker) - len(connection.tail)
            connection.limits[Way.THERE] = connection.passed[Way.THERE] + behind + cut.after
        else:
            connection.limits[Way.BACK] = connection.passed[Way.BACK] + cut.after
        connection.tail = b""
