"""The proxy itself: each fault does what it says, and says that it did."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from e2e_processes import eventually
from fault_proxy import BOTH, End, FaultProxy, Way

_GLANCE_S = 0.05
received = bytearray()


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """Before a server that notes everything in `received`, and sends it back."""
    received.clear()
    with socket.create_server(("127.0.0.1", 0)) as listener, FaultProxy(listener.getsockname()[1]) as one:
        threading.Thread(target=_echo_all, args=(listener,), daemon=True).start()
        yield one


def _echo_all(listener: socket.socket) -> None:
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(accepted,), daemon=True).start()


def _echo(accepted: socket.socket) -> None:
    with accepted:
        try:
            while data := accepted.recv(65_536):
                received.extend(data)
                accepted.sendall(data)
        except OSError:
            return


@contextmanager
def connected(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        yield client


def heard(client: socket.socket, count: int) -> bytes:
    """So many bytes, or those before the end."""
    found = b""
    while len(found) < count and (data := client.recv(count - len(found))):
        found += data
    return found


def silent(client: socket.socket) -> bool:
    client.settimeout(_GLANCE_S)
    try:
        return not client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(5)


def test_everything_passes(proxy: FaultProxy) -> None:
    with connected(proxy) as client:
        whole = bytes(range(256)) * 4_000
        threading.Thread(target=client.sendall, args=(whole,)).start()
        assert heard(client, len(whole)) == whole
    assert proxy.fired == {}


@pytest.mark.parametrize("after", [0, 1, 4])
@pytest.mark.parametrize("pieces", [(b"..mark56789",), (b"..ma", b"rk5", b"6789"), (b"..mark", b"56789")])
def test_cut_on_the_way_there(proxy: FaultProxy, after: int, pieces: tuple[bytes, ...]) -> None:
    """Just so many bytes arrive after the marker, however they were sent."""
    proxy.cut(Way.THERE, after, b"mark", End.FIN)
    with connected(proxy) as client:
        for piece in pieces:
            client.sendall(piece)
            client.settimeout(_GLANCE_S)
            with suppress(TimeoutError):
                heard(client, 99)
        eventually(lambda: proxy.fired["cut"], "the cut")
        eventually(lambda: bytes(received) == b"..mark56789"[: 6 + after], "what came before it")
    with connected(proxy) as client:
        client.sendall(b"mark")
        assert heard(client, 4) == b"mark"
    assert proxy.fired == {"cut": 1}


@pytest.mark.parametrize("after", [0, 3])
def test_cut_on_the_way_back(proxy: FaultProxy, after: int) -> None:
    proxy.cut(Way.BACK, after, b"mark", End.FIN)
    with connected(proxy) as other, connected(proxy) as client:
        client.sendall(b"mark")
        assert heard(client, 99) == b"mark"[:after]
        assert proxy.fired == {"cut": 1}
        other.sendall(b"mark")
        assert heard(other, 4) == b"mark"


def test_reset(proxy: FaultProxy) -> None:
    proxy.cut(Way.BACK, 0, b"mark", End.RST)
    with connected(proxy) as client:
        client.sendall(b"mark")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest.mark.parametrize("way", Way)
def test_drop(proxy: FaultProxy, way: Way) -> None:
    """The bytes never come; when all is healed the connection is not there any more."""
    with connected(proxy) as client:
        proxy.drop(way)
        client.sendall(b"lost")
        eventually(lambda: proxy.fired["dropped"] == 4, "four bytes lost")
        assert silent(client)
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_stall(proxy: FaultProxy) -> None:
    """The bytes come when all is healed."""
    with connected(proxy) as client:
        proxy.stall(*BOTH)
        client.sendall(b"held")
        eventually(lambda: proxy.fired["stalled"] == 4, "four bytes held")
        assert silent(client)
        proxy.heal()
        assert heard(client, 4) == b"held"


def test_slow(proxy: FaultProxy) -> None:
    with connected(proxy) as client:
        proxy.slow(1_000)
        began = time.monotonic()
        client.sendall(b"x" * 500)
        assert heard(client, 500) == b"x" * 500
        assert time.monotonic() - began >= 0.45
        assert proxy.fired["slowed"] >= 500


def test_refuse_and_hang_up(proxy: FaultProxy) -> None:
    """New connections are refused, old ones live on until they are ended."""
    with connected(proxy) as client:
        client.sendall(b"a")
        assert heard(client, 1) == b"a"
        proxy.refuse()
        with pytest.raises(ConnectionResetError), connected(proxy) as late:
            late.recv(1)
        client.sendall(b"b")
        assert heard(client, 1) == b"b"
        proxy.hang_up()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert proxy.fired == {"refused": 1, "cut": 1}
    proxy.heal()
    with connected(proxy) as client:
        client.sendall(b"c")
        assert heard(client, 1) == b"c"
