"""Publishing to Redis from Python, with the broker as it comes."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

from numbergroup_contracts import InvalidCommand, PublishError, publish
from numbergroup_contracts.names import PARTITIONS_KEY, command_stream, partition_of


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    one = Redis.from_url(url)
    one.flushall()
    yield one
    one.close()


def event(number: int, group: str = "g1", **data: object) -> dict[str, Any]:
    what = {"groupId": group, "operateType": "add", "phones": ["85211111114"]} | data
    return {
        "specversion": "1.0",
        "id": f"c-{number}",
        "source": "crm",
        "type": "numbergroup.update.v1",
        "data": what,
    }


def sent(client: Any, partition: int = 0) -> list[Any]:
    rows = client.xrange(command_stream(partition))
    assert all(list(fields) == [b"event"] for _, fields in rows)
    return [json.loads(fields[b"event"]) for _, fields in rows]


def test_in_order(url: str, client: Any) -> None:
    """All commands arrive, each in an entry of its own, in the order in which they were given."""
    assert publish((event(number) for number in range(2_500)), url) == 2_500
    assert [one["id"] for one in sent(client)] == [f"c-{number}" for number in range(2_500)]


def test_partitions_and_arrays(url: str, client: Any) -> None:
    """Groups go where their handle says; arrays are of one partition and in order."""
    events = [event(number, f"g{number % 7}") for number in range(100)]
    assert publish(events, url, partitions=3, batch=8) == 100
    for partition in range(3):
        arrays = sent(client, partition)
        assert all(len(array) == 8 for array in arrays[:-1])
        there = [one for array in arrays for one in array]
        assert there == [one for one in events if partition_of(one["data"]["groupId"], 3) == partition]


def test_another_number_of_partitions(url: str, client: Any) -> None:
    """What the workers would not look for there, or refuse, is not sent; the error has the right number."""
    client.set(PARTITIONS_KEY, 4)
    for partitions in (1, 8):
        with pytest.raises(PublishError, match="say partitions=4") as caught:
            publish([event(1)], url, partitions=partitions)
        assert caught.value.confirmed == 0
    assert client.keys() == [PARTITIONS_KEY.encode()]
    assert publish([event(1)], url, partitions=4) == 1


def test_nothing(url: str, client: Any) -> None:
    """Nothing to publish is nothing to fail at: the broker is not even asked."""
    assert publish([], url) == 0
    assert publish(iter(()), "redis://127.0.0.1:1/0") == 0


def test_a_command_that_is_none(url: str, client: Any) -> None:
    """Chunks before it are published, and counted; nothing of its own chunk is."""
    events = [event(number) for number in range(1_500)]
    events[1_200]["data"]["phones"] = ["0"]
    with pytest.raises(InvalidCommand) as caught:
        publish(events, url)
    assert (caught.value.index, caught.value.confirmed) == (1_200, 1_000)
    assert len(sent(client)) == 1_000


def test_a_stream_that_is_none(url: str, client: Any) -> None:
    """What Redis refuses is said, with what had been confirmed by then."""
    client.set(command_stream(0), "taken")
    with pytest.raises(PublishError, match=r"Redis refuses: WRONGTYPE.* 0 commands are confirmed") as caught:
        publish([event(1)], url)
    assert caught.value.confirmed == 0


@pytest.mark.redis_server
def test_a_server_that_goes_away(open_redis: Any) -> None:
    """What was confirmed before is counted; publishing all of it again loses nothing."""
    server = open_redis(durable=True)

    def events(cut: bool) -> Iterator[dict[str, Any]]:
        for number in range(3_000):
            if cut and number == 2_500:
                server.kill()
            yield event(number)

    with pytest.raises(PublishError, match="the connection to Redis failed") as caught:
        publish(events(cut=True), server.url)
    assert caught.value.confirmed == 2_000
    server.start()
    assert publish(events(cut=False), server.url) == 3_000
    client = Redis(port=urlsplit(server.url).port)
    assert {one["id"] for one in sent(client)} == {f"c-{number}" for number in range(3_000)}
    client.close()


@pytest.mark.redis_server
def test_a_password_that_is_wrong(open_redis: Any) -> None:
    """It is refused, and not repeated."""
    server = open_redis(password="right")
    with pytest.raises(PublishError) as caught:
        publish([event(1)], server.url.replace("//", "//:wrong-one@"))
    assert "wrong-one" not in str(caught.value)
    assert publish([event(1)], server.url.replace("//", "//:right@")) == 1
