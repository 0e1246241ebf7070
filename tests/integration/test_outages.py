"""A server that is away, or not itself: always the port's own errors, and never one of the client's."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.exceptions
from integration_rig import ACTIONS, Rig, read, tags
from integration_servers import answering, free_port
from redis.asyncio import Connection

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import check, connect
from numbergroup.engine.settling.settlement import Reply, Settlement
from numbergroup.ledger.port import LedgerUnavailable

OF_THE_LOG = ("read", "import_messages", "settle")
NOT_OURS = {
    # Of other clients: for clusters, and for clients that fork while they hold a lock.
    "ChildDeadlockedError",
    "RedisClusterException",
    "SlotNotCoveredError",
    "CrossSlotTransactionError",
    "InvalidPipelineStack",
    # Of a subscription to what the server invalidates.
    "IncorrectPolicyType",
}
CLIENT_ERRORS = [
    error
    for name, error in vars(redis.exceptions).items()
    if inspect.isclass(error) and issubclass(error, Exception) and name not in NOT_OURS
]


@asynccontextmanager
async def acting_on(url: str, timeout_s: float | None = None) -> AsyncIterator[Callable[[str], Any]]:
    """Does any of the actions on what is at `url`; `timeout_s`: instead of the client's own time-outs."""
    async with Rig(url) as rig:
        if timeout_s is not None:
            short = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
            rig.client.connection_pool.connection_kwargs |= short
        rig.epoch = 1
        log = rig.broker.open_log(0, 1)

        async def act(name: str) -> None:
            await ACTIONS[name](rig, log)

        yield act


async def expect_unavailable(act: Callable[[str], Any], name: str) -> None:
    with pytest.raises(BrokerUnavailable if name in OF_THE_LOG else LedgerUnavailable):
        await act(name)


@pytest.mark.parametrize("name", ACTIONS)
async def test_nobody_listens(name: str) -> None:
    """Nobody answers at the address: unavailable."""
    async with acting_on(f"redis://127.0.0.1:{free_port()}/0") as act:
        await expect_unavailable(act, name)


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-NOPERM this user has no permissions\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-MISCONF Redis is configured to save RDB snapshots\r\n",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"-BUSY Redis is busy running a script.\r\n",
        b"-CLUSTERDOWN The cluster is down\r\n",
        b"-MOVED 3999 127.0.0.1:1\r\n",
        b"-ERR max number of clients reached\r\n",
        b"-DENIED Redis is running in protected mode\r\n",
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"\x00\xff\xfe\r\n",
    ],
    ids=lambda answer: "hangs-up" if answer is None else answer[:8].decode(errors="replace").split()[0],
)
async def test_a_server_that_is_not_itself(name: str, answer: bytes | None) -> None:
    """It hangs up, refuses everything for reasons that may pass, or is no Redis: unavailable."""
    async with answering(lambda _: answer) as url, acting_on(url) as act:
        await expect_unavailable(act, name)


@pytest.mark.parametrize("name", ACTIONS)
async def test_a_server_that_says_nothing(name: str) -> None:
    """It takes the command and never answers: unavailable, when the time is over."""
    async with (
        answering(lambda _: b"") as url,
        acting_on(url, 0.05) as act,
    ):
        await expect_unavailable(act, name)


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("answer", [b"$10\r\nab", b"*3\r\n$1\r\n", b"+O"])
async def test_a_server_that_dies_in_mid_answer(name: str, answer: bytes) -> None:
    """The connection ends in the middle of an answer: unavailable."""
    async with answering(lambda _: answer, once=True) as url, acting_on(url) as act:
        await expect_unavailable(act, name)


@pytest.mark.parametrize("error", CLIENT_ERRORS, ids=lambda error: error.__name__)
async def test_no_error_of_the_client_escapes(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the client can raise is mapped, for every action."""

    async def fail(_: Connection) -> None:
        raise error("3999 127.0.0.1:1")  # which is how a redirection of a cluster's looks

    # Every action begins with a connection.
    monkeypatch.setattr(Connection, "connect", fail)
    async with acting_on("redis://127.0.0.1:1/0") as act:
        for name in ACTIONS:
            await expect_unavailable(act, name)


async def test_the_embedded_broker_stops() -> None:
    """The same holds for the embedded broker, in the middle of the work."""
    broker = embedded.start()
    async with Rig(broker.url) as rig:
        log = await rig.own()
        await rig.publish(b"1")
        assert len(await read(log, 1)) == 1
        broker.stop()
        for name in ACTIONS:
            with pytest.raises(BrokerUnavailable if name in OF_THE_LOG else LedgerUnavailable):
                await ACTIONS[name](rig, log)


@pytest.mark.redis_server
async def test_a_server_that_comes_back(open_redis: Any) -> None:
    """Killed and started again, it goes on where it was: nothing is lost, and nothing happens twice."""
    server = open_redis(durable=True)
    async with Rig(server.url) as rig:
        log = await rig.own()
        first, second, third = await rig.publish(b"1", b"2", b"3")
        assert tags(await read(log, 2, credit=2)) == [first, second]
        await log.settle(Settlement(0, replies=[Reply(None, b"r1")], done=[first]), 1)
        server.kill()
        unit = Settlement(0, replies=[Reply(None, b"r2")], done=[second])
        for _ in range(2):
            with pytest.raises(BrokerUnavailable):
                await log.settle(unit, 2)
        with pytest.raises(BrokerUnavailable):
            await log.read(10)
        server.start()
        for _ in range(2):
            await log.settle(unit, 2)
        assert await rig.replies() == [b"r1", b"r2"]
        assert tags(await read(log, 1)) == [third]
        assert await rig.ledger.renew_lease(0, "me", rig.epoch, 10.0)


async def test_checking_a_server_that_is_away() -> None:
    """A server that may come is not unfit: it is worth waiting for."""
    client = connect(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(BrokerUnavailable):
        await check(client)
    await client.aclose()
