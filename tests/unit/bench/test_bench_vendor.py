"""The stub of the vendor's API."""

import asyncio

import orjson
from bench.vendor import Vendor

REQUEST = b"POST /api/pns/ HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b"


async def answer(reader: asyncio.StreamReader) -> dict[str, object]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    found: dict[str, object] = orjson.loads(await reader.readexactly(length))
    return found


async def test_requests_however_they_arrive() -> None:
    """Each is answered once and counted once, in pieces or several at a time, under an id of its own."""
    server = await asyncio.get_running_loop().create_server(lambda: Vendor(0.0), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    before = Vendor.calls
    update = REQUEST % (b"action: updateGroup\r\n", 2, b"{}")
    create = REQUEST % (b"action: createGroup\r\n", 2, b"{}")
    writer.write(update[:30])
    await writer.drain()
    writer.write(update[30:] + create + update[:-1])
    answers = [await answer(reader) for _ in range(2)]
    writer.write(update[-1:])
    answers.append(await answer(reader))
    assert [said["code"] for said in answers] == [0, 0, 0]
    assert len({said["requestId"] for said in answers}) == 3
    assert [said.get("groupId") is not None for said in answers] == [False, True, False]
    writer.write(b"GET /count HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert await reader.readexactly(len(str(before + 3))) == b"%d" % (before + 3)
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
