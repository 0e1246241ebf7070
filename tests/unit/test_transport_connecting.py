"""Why there is no connection: the address and the cause, in words."""

import socket
import time

import pytest

from numbergroup.sandbox.server import start
from numbergroup.vendors.http import HttpTransport, NotConnected
from numbergroup.vendors.port import Request


async def reason(url: str) -> str:
    transport = HttpTransport(1, 30.0, 30.0)
    try:
        with pytest.raises(NotConnected) as raised:
            await transport.exchange(Request("POST", url, {}, b"{}"), 1000, time.monotonic() + 60)
    finally:
        await transport.close()
    return str(raised.value)


async def test_refused() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        assert await reason(f"http://{address}/api/") == f"not connected to {address}: Connection refused"


async def test_a_name_that_is_none() -> None:
    found = await reason("https://vendor.invalid/api/")
    assert found.startswith("not connected to vendor.invalid: its name cannot be resolved (")


async def test_no_tls_on_the_port() -> None:
    async with await start(port=0) as sandbox:
        address = sandbox.origin.removeprefix("http://")
        found = await reason(f"https://{address}/")
        assert found.startswith(f"not connected to {address}: TLS: ")
