"""Stock kombu as producers and consumers use it, and its messages as they are on a list."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from integration_rig import Rig
from kombu import Connection, Consumer, Message, Queue

from numbergroup.brokers.port import Log
from numbergroup.brokers.redis.kombu_lists import LISTS

JSON = {"content_type": "application/json", "content_encoding": "utf-8"}


def publish(url: str, *bodies: Any, **how: Any) -> None:
    """Publish these with stock kombu; bytes and texts are JSON already."""
    with Connection(url) as connection, connection.Producer() as producer, producer.batch(max_size=500):
        for body in bodies:
            already = JSON if isinstance(body, bytes | str) else {}
            producer.publish(body, **{"routing_key": "numbergroup.commands"} | already | how)


@contextmanager
def consuming(url: str, queue: str = "numbergroup.replies") -> Iterator[list[Message]]:
    """What a stock consumer has received of what was in the queue."""
    received: list[Message] = []

    def take(message: Message) -> None:
        received.append(message)
        message.ack()

    with Connection(url) as connection, Consumer(connection, [Queue(queue)], on_message=take):
        while sum(connection.default_channel._size(one) for one in [queue]):
            connection.drain_events(timeout=5)
        yield received


def envelope(body: str = "{}", /, **parts: Any) -> dict[str, Any]:
    """An envelope with a body that is text, but for what is said; `properties` are added to its own."""
    properties: dict[str, Any] = {
        "delivery_tag": "t-1",
        "delivery_info": {"exchange": "", "routing_key": "numbergroup.commands"},
    }
    properties |= parts.pop("properties", {})
    whole = {"body": body, "content-type": "application/json", "content-encoding": "utf-8", "headers": {}}
    return whole | {"properties": properties} | {name.replace("_", "-"): one for name, one in parts.items()}


async def push(rig: Rig, *envelopes: Any, which: int = 0) -> None:
    """Put these on a list as kombu would, one after the other; bytes as they are."""
    raw = [one if isinstance(one, bytes) else orjson.dumps(one) for one in envelopes]
    await rig.client.lpush(LISTS[which], *raw)


async def feed_all(rig: Rig, log: Log) -> None:
    """Let the log take in all that is on the lists."""
    while await rig.client.exists(*LISTS):
        await log.import_messages()


async def moved(rig: Rig, partition: int = 0) -> list[bytes]:
    """The bodies in the partition's stream."""
    rows = await rig.client.xrange(f"numbergroup:{{{partition}}}:commands")
    return [fields[b"event"] for _, fields in rows]
