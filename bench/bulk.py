"""Publishing to Redis at next to no cost, beside what is measured: a million commands wait within seconds,
and a schedule is kept. The entries are those that `numbergroup_contracts.publish` makes."""

import socket
from collections.abc import Iterable
from itertools import islice
from urllib.parse import urlsplit

from numbergroup_contracts.names import command_stream

_AT_ONCE = 1_000
_STREAM = command_stream(0).encode()
_BEFORE = b"*5\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$1\r\n*\r\n$5\r\nevent\r\n" % (len(_STREAM), _STREAM)
_QUIET = b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n"
_LOUD = b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$2\r\nON\r\n"


def encoded(event: bytes) -> bytes:
    """As the server reads it (RESP2): its entry in the stream of the first partition."""
    return b"%b$%d\r\n%b\r\n" % (_BEFORE, len(event), event)


class Pipe:
    """A connection on which the server answers nothing."""

    def __init__(self, redis_url: str) -> None:
        parts = urlsplit(redis_url)
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_QUIET)

    def send(self, entries: Iterable[bytes]) -> None:
        """Have these taken, `encoded`, in order."""
        self._socket.sendall(b"".join(entries))

    def close(self) -> None:
        """Return when the server has read all."""
        self._socket.sendall(_LOUD)
        said = self._socket.recv(64)
        self._socket.close()
        assert said == b"+OK\r\n", said


def fill(redis_url: str, events: Iterable[bytes]) -> None:
    """Return when all of them wait."""
    pipe = Pipe(redis_url)
    left = map(encoded, events)
    while some := [*islice(left, _AT_ONCE)]:
        pipe.send(some)
    pipe.close()
