"""Publishing to RabbitMQ from Python: confirmed, routed, and honest about what went wrong."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from amqp.exceptions import ChannelError
from documents import blocks, pages
from e2e_queues import QueueServer

from numbergroup_contracts import InvalidCommand, PublishError, publish
from numbergroup_contracts.names import COMMANDS, command_queue, partition_of

pytestmark = pytest.mark.rabbitmq_server


def event(number: int, group: str = "g1") -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"c-{number}",
        "source": "crm",
        "type": "numbergroup.update.v1",
        "data": {"groupId": group, "operateType": "add", "phones": ["85211111114"]},
    }


def events(count: int, groups: int = 1) -> list[dict[str, Any]]:
    return [event(number, f"g{number % groups}") for number in range(count)]


def received(rabbitmq: QueueServer, queue: str = COMMANDS) -> list[Any]:
    return [json.loads(message.body) for message in rabbitmq.take(queue)]


def test_without_the_plugin(rabbitmq: QueueServer) -> None:
    """Of several partitions, each command goes to that of its handle, and arrays are of one partition."""
    rabbitmq.hashes(False)
    rabbitmq.declare(3)
    sent = events(90, groups=7)
    assert publish(sent, rabbitmq.url, partitions=3, batch=8) == 90
    for partition in range(3):
        arrays = received(rabbitmq, command_queue(partition, 3))
        assert max(map(len, arrays)) == 8
        there = [one for array in arrays for one in array]
        assert there == [one for one in sent if partition_of(one["data"]["groupId"], 3) == partition]


def test_one_partition(rabbitmq: QueueServer) -> None:
    """All commands arrive in order and persistent, as JSON, byte by byte."""
    rabbitmq.declare()
    assert publish((event(number) for number in range(2_500)), rabbitmq.url) == 2_500
    assert publish([json.dumps(event(7), indent=1)], rabbitmq.url) == 1
    *messages, last = rabbitmq.take()
    assert [json.loads(message.body)["id"] for message in messages] == [f"c-{n}" for n in range(2_500)]
    assert last.body == json.dumps(event(7), indent=1).encode()
    assert last.properties["delivery_mode"] == 2
    assert last.properties["content_type"] == "application/json"


def test_a_direct_exchange_with_the_plugin(rabbitmq: QueueServer) -> None:
    """The exchange decides, not what the broker could do."""
    rabbitmq.hashes(True)
    rabbitmq.declare(2)
    assert publish(events(20, groups=5), rabbitmq.url, partitions=2) == 20
    for partition in range(2):
        for one in received(rabbitmq, command_queue(partition, 2)):
            assert partition_of(one["data"]["groupId"], 2) == partition


def test_a_hashing_exchange(rabbitmq: QueueServer) -> None:
    """All commands of a group are in one queue, in order, and an array is of one group."""
    rabbitmq.hashes(True)
    rabbitmq.declare(3, "x-consistent-hash")
    sent = events(300, groups=20)
    assert publish(sent, rabbitmq.url, partitions=3, batch=10) == 300
    groups: set[str] = set()
    for partition in range(3):
        arrays = received(rabbitmq, command_queue(partition, 3))
        assert all(len({one["data"]["groupId"] for one in array}) == 1 for array in arrays)
        there = [one for array in arrays for one in array]
        here = {one["data"]["groupId"] for one in there}
        assert groups.isdisjoint(here)
        groups |= here
        for group in here:
            assert [one for one in there if one["data"]["groupId"] == group] == [
                one for one in sent if one["data"]["groupId"] == group
            ]
    assert len(groups) == 20


def test_a_user_who_may_not_ask(rabbitmq: QueueServer) -> None:
    """One who may only write has to say what the exchange is; then it works."""
    rabbitmq.hashes(True)
    rabbitmq.declare(2)
    rabbitmq.control("add_user", "writer", "pass")
    try:
        rabbitmq.control("set_permissions", "writer", "^$", ".*", "^$")
        url = rabbitmq.url.replace("guest:guest", "writer:pass")
        with pytest.raises(PublishError, match=r"x-consistent-hash or direct"):
            publish([event(1)], url, partitions=2)
        assert publish([event(1)], url, partitions=2, exchange="direct") == 1
    finally:
        rabbitmq.control("delete_user", "writer")


def test_nothing_is_declared(rabbitmq: QueueServer) -> None:
    """Without a worker there is nowhere to publish to; that is said, and leaves no trace."""
    with pytest.raises(PublishError, match=r"no queue numbergroup\.commands: start a worker"):
        publish([event(1)], rabbitmq.url)
    with pytest.raises(PublishError, match="no exchange numbergroup: start a worker"):
        publish([event(1)], rabbitmq.url, partitions=2)
    rabbitmq.declare(2)
    with pytest.raises(PublishError, match="as many partitions as you say"):
        publish(events(20, groups=20), rabbitmq.url, partitions=4)


def snippet_of_the_tutorial(url: str) -> str:
    """The tutorial's program for kombu, with this broker in place of its own."""
    (code,) = (
        block.text
        for block in blocks(pages()["docs/tutorials/rabbitmq.md"])
        if block.language == "python" and "from kombu import" in block.text
    )
    assert "amqp://guest:guest@127.0.0.1:5672//" in code
    return str(code.replace("amqp://guest:guest@127.0.0.1:5672//", url))


def test_the_tutorial_before_any_worker(rabbitmq: QueueServer) -> None:
    """The tutorial's program loses nothing without a word: before the first worker has declared the queues
    its publishing fails. What it publishes survives a restart of the broker."""
    code = snippet_of_the_tutorial(rabbitmq.url)
    with pytest.raises(ChannelError, match="NO_ROUTE"):
        exec(code, {})
    rabbitmq.declare()
    with pytest.raises(TimeoutError):
        exec(code.replace("timeout=10", "timeout=0.01"), {})
    (command,) = rabbitmq.take()
    assert json.loads(command.body)["id"] == "c-2"
    assert command.properties["delivery_mode"] == 2


@pytest.mark.parametrize("url", ["amqp://a//;amqp://b//", "amqp://me:hunter2@a,b//", "redis://a,b/0"])
def test_several_hosts(url: str) -> None:
    """A list of hosts is a mistake in the arguments, for only the first would be used."""
    with pytest.raises(ValueError, match="several hosts") as caught:
        publish([event(1)], url)
    assert "hunter2" not in str(caught.value)


def test_a_broker_that_refuses(rabbitmq: QueueServer) -> None:
    """A queue that is full: what it took is confirmed, the rest is not."""
    limits = {"x-max-length": 5, "x-overflow": "reject-publish"}
    rabbitmq.declare(**{"x-queue-type": "classic"}, **limits)
    with pytest.raises(PublishError, match=r"basic\.nack") as caught:
        publish(events(50), rabbitmq.url)
    assert 0 <= caught.value.confirmed <= 5
    assert len(received(rabbitmq)) == 5


def test_a_connection_that_breaks(rabbitmq: QueueServer) -> None:
    """What is confirmed has arrived; publishing all of it again loses nothing."""
    rabbitmq.declare()

    def cut() -> Iterator[dict[str, Any]]:
        for number in range(5_000):
            if number == 3_500:
                rabbitmq.control("close_all_connections", "a test")
            yield event(number)

    with pytest.raises(PublishError, match=r"the connection to RabbitMQ failed: .*a test") as caught:
        publish(cut(), rabbitmq.url)
    there = {one["id"] for one in received(rabbitmq)}
    assert 1_000 <= caught.value.confirmed <= len(there) <= 3_500
    assert publish(events(5_000), rabbitmq.url) == 5_000
    assert len(there | {one["id"] for one in received(rabbitmq)}) == 5_000


def test_a_broker_that_is_blocked(rabbitmq: QueueServer) -> None:
    """Short of memory it takes nothing: that is said after the time that was allowed, however much there is
    to publish, and when it is over publishing works."""
    rabbitmq.declare()
    rabbitmq.control("set_vm_memory_high_watermark", "0")
    try:
        with pytest.raises(PublishError, match="short of memory or disk") as caught:
            publish(events(100_000), rabbitmq.url, timeout_s=1)
        assert caught.value.confirmed == 0
        assert caught.value.__cause__ is None
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", "0.4")
    assert publish(events(10), rabbitmq.url) == 10


def test_a_broker_that_says_nothing() -> None:
    """The time that was allowed is all that is waited."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"amqp://127.0.0.1:{server.getsockname()[1]}//"
        with pytest.raises(PublishError, match=r"answered nothing for 0\.2 s"):
            publish([event(1)], url, timeout_s=0.2)


def test_a_command_that_is_none(rabbitmq: QueueServer) -> None:
    """Chunks before it are published, confirmed and counted; nothing of its own chunk is."""
    rabbitmq.declare()
    with pytest.raises(InvalidCommand) as caught:
        publish([*events(1_500), {"specversion": "1.0"}], rabbitmq.url)
    assert (caught.value.index, caught.value.confirmed) == (1_500, 1_000)
    assert len(received(rabbitmq)) == 1_000


def test_encrypted(rabbitmq: QueueServer, monkeypatch: pytest.MonkeyPatch, certificate: str) -> None:
    """Over amqps:// the certificate is verified, and whose it is."""
    rabbitmq.declare()
    url = f"amqps://guest:guest@localhost:{rabbitmq.tls_port}//"
    with pytest.raises(PublishError, match="CERTIFICATE_VERIFY_FAILED"):
        publish([event(1)], url)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with pytest.raises(PublishError, match=r"Hostname mismatch|not valid for|IP address mismatch"):
        publish([event(1)], url.replace("localhost", "127.0.0.1"))
    assert publish(events(2_000), url, batch=3) == 2_000
