"""What the broker itself can do: the same bytes read, answered and settled, and no work in between.

    python -m bench.raw redis redis://127.0.0.1:6379/0
    python -m bench.raw rabbitmq amqp://guest:guest@127.0.0.1//

One process, one thread. Redis: `XREAD` of 1,000 entries, then one script, which checks an epoch, appends a
result for each entry and deletes the entries. RabbitMQ: our queues and our prefetch; results are published
persistent, mandatory and confirmed, without waiting for each confirmation, and commands are acknowledged by
the highest contiguous tag. Nothing is parsed.
"""

import argparse
import select
from typing import Any
from urllib.parse import urlsplit

import amqp
import redis

from numbergroup.brokers.amqp.topology import Topology
from numbergroup_contracts.names import COMMANDS, REPLIES, REPLY_STREAM, command_stream

AT_ONCE = 1_000
PREFETCH = 20_000
EPOCH = "raw:epoch"
RESULT = (
    b'{"specversion":"1.0","id":"5f0c2b7e9a4d41c68d2f10b3a7e65c94","source":"numbergroup",'
    b'"type":"numbergroup.result.v1","time":"2026-11-21T09:30:01.482Z","subject":"group-000001",'
    b'"data":{"command":{"id":"1-0000001","source":"bench","type":"numbergroup.update.v1"},'
    b'"status":"applied","account":"default","groupId":"group-000001",'
    b'"requestIds":["1000000000000000001"],"mergedCommands":200}}'
)
"""As the worker's own are."""

_SETTLE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'stale' end
local count = tonumber(ARGV[2])
for i = 3, 2 + count do redis.call('XADD', KEYS[3], '*', 'event', ARGV[i]) end
for i = 3 + count, #ARGV do redis.call('XDEL', KEYS[2], ARGV[i]) end
return 'done'
"""


def on_redis(url: str) -> None:
    """Until it is killed."""
    client: Any = redis.Redis.from_url(url, protocol=2)
    client.set(EPOCH, 1)
    settle = client.register_script(_SETTLE)
    commands, cursor = command_stream(0), b"0-0"
    keys = [EPOCH, commands, REPLY_STREAM]
    while True:
        found = client.xread({commands: cursor}, count=AT_ONCE, block=1_000)
        if not found:
            continue
        ((_, entries),) = found
        cursor = entries[-1][0]
        args = [1, len(entries), *(RESULT for _ in entries), *(tag for tag, _ in entries)]
        assert settle(keys=keys, args=args) == b"done"


class OnRabbitMQ:
    """Results are in the order of the commands: the nth confirmation is the nth delivery's. Two connections:
    publishing reads what has come in, and deliveries would come in while publishing."""

    def __init__(self, url: str) -> None:
        self._inbound, self._outbound = connect(url), connect(url)
        Topology().declare_all(self._inbound)
        self._consuming = self._inbound.channel()
        self._publishing = self._outbound.channel()
        self._publishing.confirm_select()
        self._publishing.events["basic_ack"].add(self._confirm)
        self._consuming.auto_decode = False
        self._consuming.basic_qos(0, PREFETCH, False)
        self._consuming.basic_consume(COMMANDS, callback=self._deliver)
        self._delivered = self._published = self._confirmed = self._acknowledged = 0
        self._early: set[int] = set()

    def run(self) -> None:
        """Until it is killed."""
        sockets = [connection.transport.sock for connection in (self._inbound, self._outbound)]
        while True:
            ready, _, _ = select.select(sockets, [], [])
            if sockets[0] in ready:
                _drain(self._inbound)
                while self._published < self._delivered:
                    self._publish()
            _drain(self._outbound)
            if self._confirmed > self._acknowledged:
                self._acknowledged = self._confirmed
                self._consuming.basic_ack(self._confirmed, multiple=True)

    def _deliver(self, _message: Any) -> None:
        self._delivered += 1

    def _publish(self) -> None:
        self._published += 1
        content = amqp.Message(
            RESULT, content_type="application/json", content_encoding="utf-8", delivery_mode=2
        )
        self._publishing.basic_publish(content, "", REPLIES, mandatory=True)

    def _confirm(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._early.update(range(self._confirmed + 1, tag + 1))
        else:
            self._early.add(tag)
        while self._confirmed + 1 in self._early:
            self._confirmed += 1
            self._early.remove(self._confirmed)


def _drain(connection: Any) -> None:
    """What has come in, up to so many."""
    wire = connection.transport.sock
    for _ in range(AT_ONCE):
        if not select.select([wire], [], [], 0)[0]:
            return
        connection.drain_events()


def connect(url: str) -> Any:
    """py-amqp's connection, open."""
    parts = urlsplit(url)
    connection = amqp.Connection(
        f"{parts.hostname}:{parts.port}", virtual_host=parts.path[1:] or "/", connect_timeout=10
    )
    connection.connect()
    return connection


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("broker", choices=("redis", "rabbitmq"))
    parser.add_argument("url")
    options = parser.parse_args()
    if options.broker == "redis":
        on_redis(options.url)
    OnRabbitMQ(options.url).run()


if __name__ == "__main__":
    main()
