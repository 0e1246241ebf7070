"""The connections that all the rest goes over: whatever is sent arrives as it is, and what stalls ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from integration_rig import Rig
from integration_servers import answering
from redis.asyncio import Redis, SSLConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as TookTooLong

from numbergroup.brokers.redis.connect import connect

SENT: list[tuple[Any, bytes]] = [
    (b"", b""),
    ("", b""),
    (b"\x00\r\n$3\r\n\xff", b"\x00\r\n$3\r\n\xff"),
    ("群组 ü", "群组 ü".encode()),
    (-17, b"-17"),
    (1_700_000_000_000, b"1700000000000"),
    (0.1, b"0.1"),
    (bytearray(b"ab"), b"ab"),
    (memoryview(b"abc"), b"abc"),
    (b"x" * 3_000_000, b"x" * 3_000_000),
    ("two words", b"two words"),
]


async def hold(client: Redis) -> None:
    """Every value, alone, in one pipeline, in a transaction, and as arguments of a script."""
    for value, stored in SENT:
        await client.set("one", value)
        assert await client.get("one") == stored
    for transaction in (False, True):
        pipe = client.pipeline(transaction=transaction)
        for n, (value, _) in enumerate(SENT):
            pipe.set(f"many {n}", value)
        pipe.mget([f"many {n}" for n in range(len(SENT))])
        assert (await pipe.execute())[-1] == [stored for _, stored in SENT]
    echo = client.register_script("return ARGV")
    assert await echo(keys=[], args=[value for value, _ in SENT]) == [stored for _, stored in SENT]


async def test_what_is_sent_arrives(rig: Rig) -> None:
    """Bytes, texts and numbers of any size."""
    await hold(rig.client)


@pytest.mark.redis_server
async def test_over_a_unix_socket(open_redis: Any, tmp_path: Path) -> None:
    """It is the same over a Unix socket; with TLS, too, it is ours that packs and sends."""
    path = tmp_path / "redis.sock"
    over_tcp = connect(open_redis(unix=str(path)).url)
    over_tls = connect("rediss://127.0.0.1:1/0")
    client = connect(f"unix://{path}?db=1")
    try:
        await hold(client)
    finally:
        for one in (client, over_tcp, over_tls):
            await one.aclose()
    kind = over_tls.connection_pool.connection_class
    assert issubclass(kind, SSLConnection)
    assert kind.pack_command is client.connection_pool.connection_class.pack_command


@pytest.fixture
async def deaf() -> AsyncIterator[str]:
    """A server that greets, and reads nothing."""
    over = asyncio.Event()
    greeting: list[asyncio.Task[None] | None] = []

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting.append(asyncio.current_task())
        writer.write(b"+OK\r\n" * 4)
        await over.wait()
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"redis://{host}:{port}/0"
    over.set()
    server.close()
    await asyncio.gather(*filter(None, greeting))


async def test_a_server_that_reads_nothing(deaf: str) -> None:
    """Writing ends in time, and the connection with it: what is half written must not be gone on with."""
    client = connect(deaf, retries=0)
    pool = client.connection_pool
    pool.connection_kwargs |= {"socket_timeout": 0.2, "health_check_interval": 0}
    try:
        with pytest.raises(TookTooLong, match="writing"):
            await client.set("key", b"x" * 30_000_000)
        assert not any(one.is_connected for one in pool._available_connections)
    finally:
        await client.aclose()


@pytest.mark.parametrize(
    "error", ["READONLY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "UNBLOCKED"], ids=str
)
async def test_a_wrong_server(error: str) -> None:
    """After an error that another server may not answer with, every connection is made anew."""
    connections = 0

    def say(data: bytes) -> bytes:
        nonlocal connections
        connections += b"INFO" in data and b"server" in data
        if b"INCR" in data:
            return f"-{error} not here\r\n".encode()
        return b"+OK\r\n" * data.count(b"*")

    async with answering(say) as url:
        client = connect(url, retries=0)
        client.connection_pool.connection_kwargs |= {"health_check_interval": 0}
        try:
            await asyncio.gather(*(client.get("key") for _ in range(3)))
            before = connections
            with pytest.raises(RedisError):
                await client.incr("key")
            await asyncio.gather(*(client.get("key") for _ in range(3)))
            assert connections >= before + 3
        finally:
            await client.aclose()
