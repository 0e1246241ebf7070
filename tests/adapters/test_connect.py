"""Checking a server before it is trusted with the work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from adapters_servers import answering
from redis.asyncio import Redis
from structlog.testing import capture_logs

from worker.brokers.connect import UnfitServer, check, connect
from worker.brokers.port import BrokerUnavailable
from worker.brokers.redis_streams import RedisBroker
from worker.ledger.redis import RedisLedger


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    client = connect(url)
    try:
        yield client
    finally:
        await client.aclose()


async def test_a_fit_server(url: str) -> None:
    """A server as it comes is fit, and nothing is complained about."""
    with capture_logs() as logs:
        async with connected(url) as client:
            await check(client)
    assert logs == []


@pytest.mark.redis_server
@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
async def test_a_server_that_evicts_commands(open_redis: Any, policy: str) -> None:
    """With a limit and a policy that may throw commands away it is refused, and what to do is said."""
    async with connected(open_redis().url) as client:
        await client.config_set("maxmemory-policy", policy)
        await check(client)
        await client.config_set("maxmemory", "100mb")
        with pytest.raises(UnfitServer, match=f"{policy}.*set it to noeviction"):
            await check(client)
        await client.config_set("maxmemory-policy", "noeviction")
        await check(client)


@pytest.mark.redis_server
async def test_a_server_that_evicts_what_expires(open_redis: Any) -> None:
    """A policy that may forget leases and records is complained about, loudly."""
    async with connected(open_redis().url) as client:
        await client.config_set("maxmemory", "100mb")
        await client.config_set("maxmemory-policy", "volatile-lru")
        with capture_logs() as logs:
            await check(client)
    assert [(line["log_level"], line["policy"]) for line in logs] == [("error", "volatile-lru")]


@pytest.mark.redis_server
@pytest.mark.parametrize("userinfo", ["", ":wrong@", "nobody:wrong@"])
async def test_wrong_credentials(open_redis: Any, userinfo: str) -> None:
    """Missing or wrong, the credentials are the operator's to change: no waiting helps."""
    server = open_redis(password="right")
    async with connected(server.url.replace("//", f"//{userinfo}")) as client:
        with pytest.raises(UnfitServer, match="NUMBERGROUP_BROKER_URL") as caught:
            await check(client)
        assert "right" not in str(caught.value)
    async with connected(server.url.replace("//", "//:right@")) as client:
        await check(client)


@pytest.mark.parametrize(
    "answer", [b"-LOADING Redis is loading\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR max clients\r\n"]
)
async def test_a_server_that_is_not_ready(answer: bytes) -> None:
    """What may pass is waited for."""
    async with answering(lambda _: answer) as url, connected(url) as client:
        with pytest.raises(BrokerUnavailable):
            await check(client)


async def test_an_old_server() -> None:
    """A server older than what is tested is used, and the log says so."""

    def say(data: bytes) -> bytes:
        if b"INFO" in data and b"SETINFO" not in data:
            return b"$21\r\nredis_version:6.2.14\r\n\r\n"
        if b"CONFIG" in data:
            return b"*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"
        return b"+PONG\r\n" * data.count(b"*")

    with capture_logs() as logs:
        async with answering(say) as url, connected(url) as client:
            await check(client)
    assert [(line["log_level"], line["version"]) for line in logs] == [("warning", "6.2.14")]


async def test_connections_for_every_partition(url: str) -> None:
    """However many partitions wait for commands at once, there are connections left for all else."""
    client = connect(url, 120)
    broker, ledger = RedisBroker(client, 1), RedisLedger(client)
    try:
        await client.flushall()
        waiting = [asyncio.create_task(broker.log(number, 1).read(10)) for number in range(120)]
        for number in range(120):
            assert await ledger.acquire_lease(number, "me", 10.0)
        assert await asyncio.gather(*waiting) == [[]] * 120
    finally:
        await client.aclose()
