"""Reads and writes many AMQP frames per system call.

py-amqp makes three system calls for each frame that it reads, and one for each message that it writes. The
thread releases the interpreter's lock in each, and waits to get it back.
"""

import select
import ssl
from collections.abc import Iterable
from contextlib import suppress
from struct import Struct
from typing import Any

from amqp.exceptions import UnexpectedFrame

Frame = tuple[int, int, bytes]
"""Type, channel, payload."""

_CHUNK_BYTES = 256 * 1024
_HEADER = Struct(">BHI")
_END = 0xCE
_OVERHEAD = _HEADER.size + 1
_CLOSED = "the broker has closed the connection"


class FrameBuffer:
    """Replaces the frame reader of a py-amqp connection. Not thread-safe.

    `timeout_s`: how long to wait for the rest of a frame that has arrived in part.
    """

    def __init__(self, connection: Any, timeout_s: float) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._timeout_s = timeout_s
        self._data = b""
        self._offset = 0
        # py-amqp also reads frames itself, while it waits for an answer.
        self._transport.read_frame = self._read_frame

    @property
    def has_input(self) -> bool:
        """Whether `handle_frames` would find something without waiting."""
        return self.has_buffered_input or bool(select.select([self._transport.sock], [], [], 0)[0])

    @property
    def has_buffered_input(self) -> bool:
        """Whether there is input that `select` on the socket does not report."""
        if self._has_frame():
            return True
        socket = self._transport.sock
        return isinstance(socket, ssl.SSLSocket) and bool(socket.pending())

    def handle_frames(self) -> None:
        """Handle all buffered frames; if there is none, read from the socket once before.

        Raises what py-amqp raises for a frame, or an `OSError` if the connection is lost.
        """
        if not self._has_frame():
            # A TLS record may have arrived in part: the timeout ends the wait for its rest.
            with suppress(TimeoutError), self._transport.having_timeout(self._timeout_s):
                self._receive()
        while (frame := self._pop_frame()) is not None:
            self._connection.on_inbound_frame(frame)

    def write(self, frames: Iterable[bytes]) -> None:
        """Send encoded frames. Raises an `OSError` if the connection is lost."""
        data = memoryview(b"".join(frames))
        # The socket's timeout applies to each chunk: so a large message may take longer than a small one.
        for start in range(0, len(data), _CHUNK_BYTES):
            self._transport.write(data[start : start + _CHUNK_BYTES])
        # py-amqp sends no heartbeat while this counter grows.
        self._connection.bytes_sent += 1

    def _read_frame(self) -> Frame:
        while (frame := self._pop_frame()) is None:
            self._receive()
        return frame

    def _has_frame(self) -> bool:
        size = len(self._data) - self._offset
        return size >= _OVERHEAD and size >= _OVERHEAD + _HEADER.unpack_from(self._data, self._offset)[2]

    def _pop_frame(self) -> Frame | None:
        data, start = self._data, self._offset + _HEADER.size
        if len(data) <= start:
            return None
        kind, channel, size = _HEADER.unpack_from(data, self._offset)
        end = start + size
        if len(data) <= end:
            return None
        if data[end] != _END:
            raise UnexpectedFrame(f"a frame ends with {data[end]:#04x}")
        self._offset = end + 1
        return kind, channel, data[start:end]

    def _receive(self) -> None:
        try:
            data = self._transport.sock.recv(_CHUNK_BYTES)
        except TimeoutError:
            raise
        except OSError:
            self._transport.connected = False
            raise
        if not data:
            self._transport.connected = False
            raise ConnectionResetError(_CLOSED)
        # py-amqp sees by this counter that the broker is alive.
        self._connection.bytes_recv += 1
        self._data = self._data[self._offset :] + data
        self._offset = 0
