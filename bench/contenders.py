"""This worker, five ways, the brokers' own limits, and the peers."""

import sys
from dataclasses import dataclass, field
from typing import Any, Literal

import redis
from kombu import Connection

from bench.contender import Contender, Place
from bench.peers.contenders import PEERS
from bench.raw import connect
from bench.workload import Workload
from numbergroup.brokers.amqp.topology import Topology
from numbergroup_contracts import publish
from numbergroup_contracts.names import COMMANDS, REPLIES, REPLY_STREAM

_RESULT = b'"type":"numbergroup.result.v1"'
_READ_AT_ONCE = 1_000
SETTINGS = {
    "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_KEY": "bench-key",
    "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_SECRET": "bench-secret",
    "NUMBERGROUP_ACCOUNTS__DEFAULT__CALLS_PER_SECOND": "100000",
    "NUMBERGROUP_ACCOUNTS__DEFAULT__MAX_IN_FLIGHT": "64",
    "NUMBERGROUP_LEASE_TTL_S": "120",
}
"""All that is not the default. The rate of calls must not be the limit; the lease must outlast the time for
which the worker is frozen."""


@dataclass(frozen=True)
class _Common:
    key: str
    name: str
    broker: Literal["redis", "rabbitmq"]
    commands: int
    advice: str = ""

    def publish(self, work: Workload, place: Place, batch: int) -> None:
        if self.broker == "rabbitmq":
            with connect(place.amqp_url) as connection:
                # As a worker does: what is published to a queue that is not there yet is refused.
                Topology().declare_all(connection)
        url = place.redis_url if self.broker == "redis" else place.amqp_url
        publish(work.events(), url, batch=batch, timeout_s=60)

    def messages(self, place: Place) -> int:
        """How many results there are, or arrays of results."""
        if self.broker == "redis":
            return int(self._client(place).xlen(REPLY_STREAM))
        return int(self._channel(place).queue_declare(REPLIES, passive=True).message_count)

    @staticmethod
    def _client(place: Place) -> Any:
        return _CONNECTIONS.redis(place.redis_url)

    @staticmethod
    def _channel(place: Place) -> Any:
        return _CONNECTIONS.amqp(place.amqp_url)


class _Connections:
    """Of those who count: one to each place, kept."""

    def __init__(self) -> None:
        self._redis: dict[str, Any] = {}
        self._amqp: dict[str, Any] = {}

    def redis(self, url: str) -> Any:
        if url not in self._redis:
            self._redis = {url: redis.Redis.from_url(url, protocol=2)}
        return self._redis[url]

    def amqp(self, url: str) -> Any:
        """A channel."""
        if url not in self._amqp:
            connection = connect(url)
            Topology().declare_all(connection)
            self._amqp = {url: connection.channel()}
        return self._amqp[url]


_CONNECTIONS = _Connections()


@dataclass(frozen=True)
class Raw(_Common):
    """See `bench.raw`."""

    def command(self, place: Place) -> list[str]:
        url = place.redis_url if self.broker == "redis" else place.amqp_url
        return [sys.executable, "-m", "bench.raw", self.broker, url]

    def environment(self, _place: Place) -> dict[str, str]:
        return {}

    def enqueue(self, work: Workload, place: Place) -> None:
        self.publish(work, place, batch=1)

    def answered(self, place: Place) -> int:
        return self.messages(place)


@dataclass(frozen=True)
class Numbergroup(_Common):
    """The worker, with all that it guarantees."""

    batch: int = 1
    counters: dict[Place, "_InArrays"] = field(default_factory=dict, hash=False, compare=False)

    def command(self, _place: Place) -> list[str]:
        return [sys.executable, "-m", "numbergroup", "run"]

    def environment(self, place: Place) -> dict[str, str]:
        settings = SETTINGS | {"NUMBERGROUP_ACCOUNTS__DEFAULT__BASE_URL": place.vendor_url}
        if self.broker == "redis":
            return settings | {"NUMBERGROUP_BROKER_URL": place.redis_url}
        return settings | {
            "NUMBERGROUP_BROKER_URL": place.amqp_url,
            "NUMBERGROUP_LEDGER_URL": place.redis_url,
        }

    def enqueue(self, work: Workload, place: Place) -> None:
        self.publish(work, place, self.batch)

    def answered(self, place: Place) -> int:
        if self.batch == 1:
            return self.messages(place)
        if place not in self.counters:
            self.counters.clear()
            if self.broker == "redis":
                self.counters[place] = _InStream(self._client(place))
            else:
                self.counters[place] = _InQueue(self._channel(place))
        return self.counters[place].count()


class _InArrays:
    """Counts results that come in arrays: each message is read once."""

    def __init__(self) -> None:
        self._found = 0

    def count(self) -> int:
        self._read()
        return self._found

    def _read(self) -> None:
        raise NotImplementedError

    def _take(self, body: bytes) -> None:
        self._found += body.count(_RESULT)


class _InStream(_InArrays):
    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client
        self._cursor = b"0-0"

    def _read(self) -> None:
        found = self._client.xread({REPLY_STREAM: self._cursor}, count=_READ_AT_ONCE)
        for _, entries in found:
            self._cursor = entries[-1][0]
            for _, fields in entries:
                self._take(fields[b"event"])


class _InQueue(_InArrays):
    def __init__(self, channel: Any) -> None:
        super().__init__()
        self._connection = channel.connection
        channel.auto_decode = False
        channel.basic_consume(REPLIES, no_ack=True, callback=lambda message: self._take(message.body))

    def _read(self) -> None:
        try:
            for _ in range(_READ_AT_ONCE):
                self._connection.drain_events(timeout=0.001)
        except TimeoutError:
            return


@dataclass(frozen=True)
class Listed(Numbergroup):
    """Producers with stock kombu, on Redis: commands and results are on lists."""

    def enqueue(self, work: Workload, place: Place) -> None:
        with Connection(place.redis_url) as connection:
            producer = connection.Producer()
            with producer.batch(500):
                for event in work.events():
                    producer.publish(
                        event,
                        routing_key=COMMANDS,
                        content_type="application/json",
                        content_encoding="utf-8",
                    )

    def answered(self, place: Place) -> int:
        return int(self._client(place).llen(REPLIES))


_STOCK = (
    "stock settings but CALLS_PER_SECOND=100000 (no limit), MAX_IN_FLIGHT=64 (as many calls at once as the "
    "peers make) and LEASE_TTL_S=120 (outlasts the freeze)"
)
_RAW = "no parsing, no API calls, no guarantees"

CONTENDERS: tuple[Contender, ...] = (
    Raw("raw-redis", "raw Redis streams", "redis", 200_000, f"XREAD of 1,000 + one script; {_RAW}"),
    Raw("raw-rabbitmq", "raw RabbitMQ", "rabbitmq", 30_000, f"py-amqp, pipelined confirms; {_RAW}"),
    Numbergroup("redis-streams", "numbergroup, Redis streams", "redis", 100_000, _STOCK),
    Numbergroup("redis-arrays", "numbergroup, Redis streams, arrays of 100", "redis", 100_000, _STOCK, 100),
    Listed("redis-lists", "numbergroup, kombu on Redis lists", "redis", 100_000, _STOCK),
    Numbergroup("rabbitmq", "numbergroup, RabbitMQ", "rabbitmq", 30_000, _STOCK),
    Numbergroup("rabbitmq-arrays", "numbergroup, RabbitMQ, arrays of 100", "rabbitmq", 30_000, _STOCK, 100),
    *PEERS,
)
