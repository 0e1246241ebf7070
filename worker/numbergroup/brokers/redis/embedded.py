"""The embedded broker: a fake Redis server in this process, for trials. It keeps nothing on disk."""

import threading
from dataclasses import dataclass

from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler

PORT = 8901


class _Handler(TCPFakeRequestHandler):
    # With Nagle's algorithm every transaction takes 44 ms, without it less than 1 ms (measured).
    disable_nagle_algorithm = True


class _Server(TcpFakeServer):
    daemon_threads = True
    allow_reuse_address = True
    # The default of 5 is too small: a worker that hands over eighty partitions opens as many connections at
    # once, and a busy machine resets those beyond the backlog.
    request_queue_size = 1024


@dataclass(slots=True)
class EmbeddedBroker:
    """A running embedded broker, which listens on 127.0.0.1 until `stop` is called."""

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
    """Start an embedded broker on 127.0.0.1. Port 0 means any free port. Raises `OSError` if the port is
    taken."""
    server = _Server(("127.0.0.1", port), server_version=(7, 0))
    server.RequestHandlerClass = _Handler
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="embedded-broker", daemon=True)
    thread.start()
    return EmbeddedBroker(server, thread)
