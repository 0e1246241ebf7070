"""A stub of the vendor's API, the same for every contender, that costs as little as it can.

    python -m bench.vendor --port 8901 --latency-ms 20

Every POST is answered with success, so many milliseconds after its last byte. Nothing is checked.
`GET /count` tells how many there were.
"""

import argparse
import asyncio
import itertools
from typing import cast

_IDS = itertools.count(10**18)
_FORM = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Vendor(asyncio.Protocol):
    """One connection, kept alive."""

    calls = 0

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._buffer = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = _length(head)
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"get "):
            self._write(b"%d" % Vendor.calls)
            return
        Vendor.calls += 1
        body = b'{"code":0,"msg":"success","requestId":"%d"%b}'
        self._loop.call_later(self._latency_s, self._write, body % (next(_IDS), _more(head)))

    def _write(self, body: bytes) -> None:
        self._transport.write(_FORM % (len(body), body))


def _length(head: bytes) -> int:
    _, _, after = head.partition(b"\r\ncontent-length:")
    return int(after.partition(b"\r\n")[0] or 0)


def _more(head: bytes) -> bytes:
    if b"creategroup" in head:
        return b',"groupId":"created%012d"' % Vendor.calls
    if b"listgroup" in head:
        return b',"data":{"groups":[],"total":0}'
    return b""


async def serve(port: int, latency_ms: float) -> None:
    """Until it is killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Vendor(latency_ms / 1000), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=20)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.latency_ms))


if __name__ == "__main__":
    main()
