"""Checking a server before it is trusted with the work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from integration_servers import answering
from redis.asyncio import Redis
from redis.exceptions import ClusterDownError, MasterDownError, MovedError, ReadOnlyError, ResponseError
from structlog.testing import capture_logs

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.broker import RedisBroker
from numbergroup.brokers.redis.connect import UnfitServer, check, connect, is_cluster_error
from numbergroup.brokers.redis.permissions import COMMANDS, PATTERNS
from numbergroup.brokers.redis.server_facts import ServerFacts, read_server_facts, warnings
from numbergroup.ledger.redis import RedisLedger


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
async def test_what_a_setup_may_lose(open_redis: Any) -> None:
    """Of each setup it is said what would be lost; of one that writes everything at once, nothing is."""
    async with connected(open_redis(durable=True).url) as client:
        assert await _warnings(client) == []
        await client.config_set("appendfsync", "everysec")
        (everysec,) = await _warnings(client)
        assert "appendfsync is everysec" in everysec
        assert "the last second may be lost: waiting commands, results, dead letters" in everysec
        await client.config_set("appendonly", "no")
        (nothing,) = await _warnings(client)
        assert "keeps nothing on disk" in nothing
        await client.config_set("save", "3600 1")
        (snapshots,) = await _warnings(client)
        assert "keeps only snapshots on disk" in snapshots
        (of_ledger,) = await _warnings(client, holds_commands=False)
        assert "waiting commands" not in of_ledger
        await client.config_set("appendonly", "yes")
        await client.config_set("appendfsync", "always")
        await client.config_set("maxmemory", "100mb")
        await client.config_set("maxmemory-policy", "volatile-lru")
        (evicting,) = await _warnings(client)
        assert "(maxmemory-policy is volatile-lru): set it to noeviction" in evicting


async def _warnings(client: Redis, *, holds_commands: bool = True) -> list[str]:
    await check(client)
    return list(warnings(await read_server_facts(client), holds_commands=holds_commands))


@pytest.mark.redis_server
async def test_a_server_that_does_not_tell_its_setup(open_redis: Any) -> None:
    """Where CONFIG is forbidden, INFO tells of the AOF; where INFO is, too, nothing is claimed."""
    server = open_redis()
    async with connected(server.url) as admin:
        await admin.execute_command("ACL", "SETUSER", "w", "on", ">w", "~*", "+@all", "-config")
        async with connected(server.url.replace("//", "//w:w@")) as client:
            (snapshots,) = await _warnings(client)
            assert "keeps only snapshots on disk (appendonly is no)" in snapshots
        await admin.execute_command("ACL", "SETUSER", "w", "-info")
        async with connected(server.url.replace("//", "//w:w@")) as client:
            assert await _warnings(client) == []


@pytest.mark.redis_server
async def test_a_read_only_replica(open_redis: Any) -> None:
    """It answers, and takes no changes: that is found by writing a key, and it is waited for a failover."""
    primary = open_redis()
    replica = open_redis()
    async with connected(replica.url) as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", str(primary.port))
        with pytest.raises(BrokerUnavailable, match="read-only replica of Redis: name the primary"):
            await check(client)


@pytest.mark.redis_server
async def test_a_redis_cluster(open_redis: Any) -> None:
    """A cluster is refused, by what INFO tells, and without INFO by how it answers."""
    server = open_redis(cluster=True)
    async with connected(server.url) as admin:
        with pytest.raises(UnfitServer, match="Redis Cluster, which is not supported"):
            await check(admin)
        await admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        await admin.execute_command("ACL", "SETUSER", "w", "on", ">w", "~*", "+@all", "-info")
        async with connected(server.url.replace("//", "//w:w@")) as client:
            with pytest.raises(UnfitServer, match="Redis Cluster, which is not supported"):
                await check(client)


@pytest.mark.redis_server
@pytest.mark.parametrize(
    ("cluster", "problem"), [(False, "a database that this Redis does not have"), (True, "a Redis Cluster")]
)
async def test_a_database_that_does_not_exist(open_redis: Any, cluster: bool, problem: str) -> None:
    """No waiting helps: it is for the operator to name another one."""
    url = open_redis(cluster=cluster).url.removesuffix("/0")
    async with connected(f"{url}/16") as client:
        with pytest.raises(UnfitServer, match=f"NUMBERGROUP_BROKER_URL names {problem}"):
            await check(client)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MovedError("5000 127.0.0.1:7001"), True),
        (ClusterDownError("The cluster is down"), True),
        (ResponseError("CROSSSLOT Keys in request"), True),
        (MasterDownError("Link with MASTER is down and replica-serve-stale-data is set to 'no'."), False),
        (ReadOnlyError("You can't write against a read only replica."), False),
    ],
)
def test_answers_of_a_cluster(error: Exception, expected: bool) -> None:
    """A replica whose primary is away is no cluster."""
    assert is_cluster_error(error) is expected


@pytest.mark.redis_server
async def test_permissions_that_are_missing(open_redis: Any) -> None:
    """Commands and keys that the ACL forbids are named, all of them at once; nothing is left behind."""
    server = open_redis()
    url = server.url.replace("//", "//w:w@")
    async with connected(server.url) as admin:
        minimal = [f"+{name}" for name in COMMANDS]
        user = ("ACL", "SETUSER", "w", "reset", "on", ">w", *(f"~{one}" for one in PATTERNS), *minimal)
        await admin.execute_command(*user)
        async with connected(url) as client:
            await check(client)
        await admin.execute_command(*user, "-xadd", "-hset", "-set")
        async with connected(url) as client:
            with pytest.raises(UnfitServer, match="commands that a worker needs: HSET, SET, XADD"):
                await check(client)
        await admin.execute_command(*user, "resetkeys", "~numbergroup:*")
        async with connected(url) as client:
            with pytest.raises(UnfitServer, match=r"keys that a worker needs: numbergroup\.commands"):
                await check(client)
        await admin.execute_command(*user, "resetkeys", "%R~*")
        async with connected(url) as client:
            with pytest.raises(UnfitServer, match="keys that a worker needs: numbergroup:check"):
                await check(client)
        await admin.execute_command(*user, "-ping")
        async with connected(url) as client:
            with pytest.raises(UnfitServer, match="'ping' command"):
                await check(client)
        assert await admin.keys() == []


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


@pytest.mark.parametrize(("version", "warned"), [("6.2.14", 1), ("7.0.0", 0), ("8", 0)])
def test_an_old_server(version: str, warned: int) -> None:
    """A server older than what is tested is used, and that is said."""
    found = list(warnings(ServerFacts(version=version), holds_commands=True))
    assert len(found) == warned


async def test_connections_for_every_partition(url: str) -> None:
    """However many partitions wait for commands at once, there are connections left for all else."""
    client = connect(url, 120)
    broker, ledger = RedisBroker(client, 1), RedisLedger(client)
    try:
        await client.flushall()
        waiting = [asyncio.create_task(broker.open_log(number, 1).read(10)) for number in range(120)]
        for number in range(120):
            assert await ledger.acquire_lease(number, "me", 10.0)
        assert await asyncio.gather(*waiting) == [[]] * 120
    finally:
        await client.aclose()
