"""The embedded broker: a Redis lookalike in this process, for trying things out. It keeps nothing on disk."""

import threading
from dataclasses import dataclass

from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler

PORT = 8901


class _Handler(TCPFakeRequestHandler):
    # Measured: with Nagle's algorithm every transaction takes 44 ms, without it under 1 ms.
    disable_nagle_algorithm = True


class _Server(TcpFakeServer):
    daemon_threads = True
    allow_reuse_address = True
    # Not the standard library's 5: connections beyond it are reset on a busy machine, and a worker that hands
    # eighty partitions over at once opens as many.
    request_queue_size = 1024


@dataclass(slots=True)
class EmbeddedBroker:
    """Listens on loopback until `stop`."""

    server: TcpFakeServer
    thread: threading.Thread

    @property
    def url(self) -> str:
        host, port = self.server.server_address[:2]
        return f"redis://{host!s}:{port}/0"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(timeout=5)


def start(port: int = 0) -> EmbeddedBroker:
    """Start it on 127.0.0.1; port 0 takes a free one. Raises OSError when the port is taken."""
    server = _Server(("127.0.0.1", port), server_version=(7, 0))
    server.RequestHandlerClass = _Handler
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="embedded-broker", daemon=True)
    thread.start()
    return EmbeddedBroker(server, thread)
