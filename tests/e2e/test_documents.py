"""The documents' snippets do what the pages say, on real servers and the sandbox."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import pages, runs
from e2e_documents import Reader
from e2e_processes import environment, free_port
from e2e_queues import QueueServer
from e2e_stage import RedisServer

PAGES = pages()
TYPED = [name for name, page in PAGES.items() if runs(page)]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, durable=True)
    server.start()
    try:
        yield server
    finally:
        server.end()


def reader_of(page: str, folder: Path, redis: RedisServer, rabbit: QueueServer | None) -> Reader:
    """A reader with the installation under test on the PATH, and servers of its own."""
    port = free_port()
    home = folder / "home"
    home.mkdir()
    # curl ends with an error where it is answered with one.
    (home / ".curlrc").write_text("fail\n", "utf-8")
    variables = environment(home, {})
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    replaced = {
        "redis://127.0.0.1:6379/": redis.url.removesuffix("0"),
        "redis-cli XADD": f"redis-cli -p {redis.port} XADD",
        "numbergroup sandbox": f"numbergroup sandbox --port {port}",
        ":8900": f":{port}",
    }
    if rabbit is not None:
        replaced["amqp://guest:guest@127.0.0.1:5672//"] = rabbit.url
        replaced["amqp://guest:***@127.0.0.1:5672//"] = rabbit.redacted_url
    return Reader(home, variables, replaced)


@pytest.mark.redis_server
@pytest.mark.parametrize("name", [name for name in TYPED if "amqp://" not in PAGES[name]])
def test_on_redis(name: str, tmp_path: Path, redis: RedisServer) -> None:
    """Everything that the page types works, and prints what the page shows."""
    reader = reader_of(PAGES[name], tmp_path, redis, None)
    try:
        reader.read(PAGES[name])
    finally:
        reader.end()


@pytest.mark.redis_server
@pytest.mark.rabbitmq_server
@pytest.mark.parametrize("name", [name for name in TYPED if "amqp://" in PAGES[name]])
def test_on_rabbitmq(name: str, tmp_path: Path, redis: RedisServer, rabbitmq: QueueServer) -> None:
    """The same on RabbitMQ, with a ledger on Redis."""
    reader = reader_of(PAGES[name], tmp_path, redis, rabbitmq)
    try:
        reader.read(PAGES[name])
    finally:
        reader.end()
