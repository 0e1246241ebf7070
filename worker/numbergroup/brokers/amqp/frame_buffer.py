"""A connection's bytes: many frames in one call of the system, where py-amqp needs three for each it reads,
and one for each message that it writes. With the interpreter's lock lost and waited for in each."""

import select
import ssl
from collections.abc import Iterable
from contextlib import suppress
from struct import Struct
from typing import Any

from amqp.exceptions import UnexpectedFrame

Frame = tuple[int, int, bytes]
"""Type, channel, payload."""

_AT_ONCE = 256 * 1024
_HEADER = Struct(">BHI")
_END = 0xCE
_CLOSED = "the broker has closed the connection"


class FrameBuffer:
    """Reads in place of py-amqp's transport from here on, whoever asks; for one thread.

    `patience_s`: how long the rest of what has begun to come is waited for.
    """

    def __init__(self, connection: Any, patience_s: float) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._patience_s = patience_s
        self._data = b""
        self._at = 0
        self._transport.read_frame = self._read_frame

    @property
    def ready(self) -> bool:
        """Whether there is something to take."""
        return self.buffered or bool(select.select([self._transport.sock], [], [], 0)[0])

    @property
    def buffered(self) -> bool:
        """Whether there is something that does not show in the socket."""
        if self._has_frame():
            return True
        socket = self._transport.sock
        return isinstance(socket, ssl.SSLSocket) and bool(socket.pending())

    def take(self) -> None:
        """Handle every frame that is here, once more has been read. Raises what py-amqp does over a frame."""
        if not self._has_frame():
            # Of TLS a part may have come: its rest is waited for with everything else.
            with suppress(TimeoutError), self._transport.having_timeout(self._patience_s):
                self._fill()
        while (frame := self._next()) is not None:
            self._connection.on_inbound_frame(frame)

    def write(self, frames: Iterable[bytes]) -> None:
        """Send frames as they are."""
        data = memoryview(b"".join(frames))
        # Each piece has the socket's time-out for itself: a large message takes longer than a small one.
        for start in range(0, len(data), _AT_ONCE):
            self._transport.write(data[start : start + _AT_ONCE])
        # By this py-amqp sees that no heartbeat is due.
        self._connection.bytes_sent += 1

    def _read_frame(self) -> Frame:
        while (frame := self._next()) is None:
            self._fill()
        return frame

    def _has_frame(self) -> bool:
        left = len(self._data) - self._at
        return left >= 8 and left >= 8 + _HEADER.unpack_from(self._data, self._at)[2]

    def _next(self) -> Frame | None:
        data, start = self._data, self._at + 7
        if len(data) <= start:
            return None
        kind, channel, size = _HEADER.unpack_from(data, start - 7)
        end = start + size
        if len(data) <= end:
            return None
        if data[end] != _END:
            raise UnexpectedFrame(f"a frame ends with {data[end]:#04x}")
        self._at = end + 1
        return kind, channel, data[start:end]

    def _fill(self) -> None:
        try:
            data = self._transport.sock.recv(_AT_ONCE)
        except TimeoutError:
            raise
        except OSError:
            self._transport.connected = False
            raise
        if not data:
            self._transport.connected = False
            raise ConnectionResetError(_CLOSED)
        self._connection.bytes_recv += 1
        self._data = self._data[self._at :] + data
        self._at = 0
