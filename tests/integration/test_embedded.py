"""The embedded broker beside a real one: what only it could get wrong."""

import socket
from contextlib import ExitStack

from numbergroup.brokers.redis import embedded


def test_many_connections_at_once() -> None:
    """All are served, also those that come before it has got round to the first: a worker that hands many
    partitions over opens as many."""
    broker = embedded.start()
    with ExitStack() as opened:
        opened.callback(broker.stop)
        connections = [opened.enter_context(socket.socket()) for _ in range(100)]
        for one in connections:
            one.setblocking(False)
            one.connect_ex(broker.server.server_address)
        for one in connections:
            one.settimeout(30)
            one.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert [one.recv(100) for one in connections] == [b"+PONG\r\n"] * 100
