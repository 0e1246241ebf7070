"""One command at a time, by each broker; and one call at a time, straight to the vendor."""

import http.client
import time
from typing import Any, Protocol
from urllib.parse import urlsplit

import amqp
import orjson
import redis

from bench.contender import Place
from bench.contenders import SETTINGS
from bench.open_loop import last_result
from bench.raw import connect
from numbergroup.brokers.amqp.topology import Topology
from numbergroup.engine.calls import Call, CallKind
from numbergroup.vendors.nxcloud import NXCloud
from numbergroup.vendors.port import Credentials
from numbergroup_contracts.names import COMMANDS, REPLIES, REPLY_STREAM, command_stream


class Queue(Protocol):
    """The way to one worker and back."""

    def ask(self, event: bytes) -> float:
        """Publish it when nothing else is on its way; the seconds until its result was read."""


class RedisQueue:
    def __init__(self, place: Place) -> None:
        self._client: Any = redis.Redis.from_url(place.redis_url, protocol=2)
        self._cursor = last_result(self._client)

    def ask(self, event: bytes) -> float:
        began = time.perf_counter()
        self._client.xadd(command_stream(0), {"event": event})
        found = self._client.xread({REPLY_STREAM: self._cursor}, block=20_000)
        taken = time.perf_counter() - began
        ((_, ((self._cursor, fields),)),) = found
        _check(fields[b"event"])
        return taken


class RabbitQueue:
    def __init__(self, place: Place) -> None:
        self._connection = connect(place.amqp_url)
        # As a worker does: what is published to a queue that is not there yet is refused.
        Topology().declare_all(self._connection)
        self._channel: Any = self._connection.channel()
        self._channel.auto_decode = False
        self._found: list[bytes] = []
        self._channel.basic_consume(
            REPLIES, no_ack=True, callback=lambda message: self._found.append(message.body)
        )

    def ask(self, event: bytes) -> float:
        began = time.perf_counter()
        message = amqp.Message(event, delivery_mode=2)
        self._channel.basic_publish(message, routing_key=COMMANDS, mandatory=True)
        while not self._found:
            self._connection.drain_events(timeout=20)
        taken = time.perf_counter() - began
        _check(self._found.pop())
        return taken


class Straight:
    """Signed calls to the vendor, over a connection that is kept, with nothing in between."""

    def __init__(self, url: str) -> None:
        self._vendor = NXCloud(url)
        # Its credentials are those that the worker has, too.
        key, secret = (
            SETTINGS[f"NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_{name}"] for name in ("KEY", "SECRET")
        )
        self._credentials = Credentials(key, secret)
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        self._path = parts.path
        self.taken_s: list[float] = []

    def call(self) -> None:
        call = Call(CallKind.ADD, ("85210000001",), "group-000001")
        began = time.perf_counter()
        request = self._vendor.build_request(call, int(time.time() * 1000), self._credentials)
        self._connection.request(request.method, self._path, request.body, request.headers)
        body = self._connection.getresponse().read()
        self.taken_s.append(time.perf_counter() - began)
        assert orjson.loads(body)["code"] == 0, body


def _check(result: bytes) -> None:
    assert orjson.loads(result)["data"]["status"] == "applied", result
