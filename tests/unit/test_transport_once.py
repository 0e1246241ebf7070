"""A request goes out once, whatever its method."""

import asyncio
import time

import pytest

from numbergroup.sandbox.faults import Drop
from numbergroup.sandbox.ozonetel import LEGACY_PATH
from numbergroup.sandbox.server import start
from numbergroup.vendors.http import HttpTransport, NoAnswer, Withdrawn
from numbergroup.vendors.port import Request

METHODS = ("POST", "PUT", "DELETE")


@pytest.mark.parametrize("method", METHODS)
async def test_no_answer(method: str) -> None:
    """A request whose connection ends is not repeated, on a new connection as on one that was used before."""
    async with await start(port=0) as sandbox:
        transport = HttpTransport(1, 5.0, 5.0)
        request = Request(method, sandbox.origin + LEGACY_PATH, {}, b"{}")
        sandbox.state.faults.add([Drop(times=1)])
        with pytest.raises(NoAnswer):
            await transport.exchange(request, 1000, time.monotonic() + 60)
        assert (await transport.exchange(request, 1000, time.monotonic() + 60)).status == 401
        sandbox.state.faults.add([Drop(times=1)])
        with pytest.raises(NoAnswer):
            await transport.exchange(request, 1000, time.monotonic() + 60)
        assert sandbox.state.calls.total == 3
        await transport.close()


@pytest.mark.parametrize("method", METHODS)
async def test_no_answer_and_then_nobody_there(method: str) -> None:
    """A vendor that takes a request and is gone has had it: that is no failure to connect."""
    taken: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(await reader.readuntil(b"\r\n\r\n"))
        server.close()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = HttpTransport(1, 5.0, 5.0)
    request = Request(method, f"http://127.0.0.1:{port}/", {}, b"{}")
    with pytest.raises(NoAnswer):
        await transport.exchange(request, 1000, time.monotonic() + 60)
    assert len(taken) == 1
    await transport.close()


async def test_withdrawn_at_the_last_moment() -> None:
    """Whatever comes between is asked about when there is a connection, and then nothing is sent."""
    async with await start(port=0) as sandbox:
        transport = HttpTransport(1, 5.0, 5.0)
        request = Request("POST", sandbox.origin + LEGACY_PATH, {}, b"{}")
        with pytest.raises(Withdrawn):
            await transport.exchange(request, 1000, time.monotonic() + 60, lambda: False)
        assert sandbox.state.calls.total == 0
        assert (await transport.exchange(request, 1000, time.monotonic() + 60, lambda: True)).status == 401
        await transport.close()
