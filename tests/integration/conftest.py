"""Every promise is checked on both: the embedded broker, and a real redis-server."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration_brokers import OnRabbit, OnRedis, Place
from integration_rig import Rig
from integration_servers import RedisServer
from integration_stage import Stage
from rabbit_server import RabbitServer

from numbergroup.brokers.redis import embedded

OpenRedis = Callable[..., RedisServer]


@pytest.fixture(scope="session")
def embedded_url() -> Iterator[str]:
    broker = embedded.start()
    try:
        yield broker.url
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    try:
        yield server.url
    finally:
        server.kill()


@pytest.fixture(params=["embedded", pytest.param("redis", marks=pytest.mark.redis_server)])
def url(request: Any) -> str:
    """Where a broker listens: the test runs once with each."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit"))
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("redis", marks=pytest.mark.redis_server),
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq_server),
    ]
)
async def place(request: Any) -> AsyncIterator[Place]:
    """A broker of each kind."""
    made: OnRabbit | OnRedis
    if request.param == "rabbitmq":
        made = OnRabbit(request.getfixturevalue("embedded_url"), request.getfixturevalue("rabbit").url)
    else:
        made = OnRedis(request.getfixturevalue(f"{request.param}_url"))
    async with made as one:
        yield one


@pytest.fixture
async def on_rabbit(embedded_url: str, rabbit: RabbitServer) -> AsyncIterator[OnRabbit]:
    async with OnRabbit(embedded_url, rabbit.url) as one:
        yield one


@pytest.fixture
async def rig(url: str) -> AsyncIterator[Rig]:
    """The adapters on an empty broker."""
    async with Rig(url) as one:
        await one.client.flushall()
        yield one


@pytest.fixture
def open_redis(tmp_path: Path) -> Iterator[OpenRedis]:
    """Opens a redis-server of the test's own; the arguments are `RedisServer`'s."""
    servers: list[RedisServer] = []

    def open_one(**how: Any) -> RedisServer:
        folder = tmp_path / str(len(servers))
        folder.mkdir()
        servers.append(RedisServer(folder, **how))
        return servers[-1]

    try:
        yield open_one
    finally:
        for server in servers:
            server.kill()


@pytest.fixture
async def stage(url: str) -> AsyncIterator[Stage]:
    """An empty broker, a vendor, and whole workers on demand."""
    async with Stage(url) as one:
        await one.client.flushall()
        yield one
