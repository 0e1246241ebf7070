"""A RabbitMQ server as producers and consumers of results see it, and what a worker declares on it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amqp import Connection, Message
from e2e_processes import free_port
from rabbit_server import RabbitServer

from numbergroup_contracts import names

_PLUGIN = "rabbitmq_consistent_hash_exchange"


class QueueServer(RabbitServer):
    """With TLS: `tls` are the files of a certificate and its key."""

    def __init__(self, folder: Path, tls: Sequence[Path]) -> None:
        certificate, key = tls
        self.tls_port = free_port()
        self._hashes = False
        options = {
            "listeners.ssl.1": f"127.0.0.1:{self.tls_port}",
            "ssl_options.cacertfile": certificate,
            "ssl_options.certfile": certificate,
            "ssl_options.keyfile": key,
        }
        super().__init__(folder, conf="".join(f"{name} = {value}\n" for name, value in options.items()))

    @property
    def redacted_url(self) -> str:
        return self.url.replace(":guest@", ":***@")

    def hashes(self, yes: bool) -> None:
        """With or without the plugin for consistent-hash exchanges."""
        if yes != self._hashes:
            self.control("enable" if yes else "disable", _PLUGIN, tool="rabbitmq-plugins")
            self._hashes = yes

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """On a connection of its own: tests break others."""
        with Connection(f"127.0.0.1:{self.port}") as connection:
            yield connection.channel()

    def empty(self) -> None:
        """As new, as far as workers and tests have to do with it."""
        with self.channel() as channel:
            for name in (names.COMMANDS, names.REPLIES, *(f"{names.COMMANDS}.{n}" for n in range(4))):
                channel.queue_delete(name)
            channel.exchange_delete(names.EXCHANGE)

    def declare(self, partitions: int = 1, kind: str = "direct", **arguments: object) -> None:
        """What a worker declares before it reads."""
        more = {"x-queue-type": "quorum", "x-single-active-consumer": True} | arguments
        with self.channel() as channel:
            channel.exchange_declare(names.EXCHANGE, kind, durable=True, auto_delete=False)
            for partition in range(partitions):
                queue = names.command_queue(partition, partitions)
                channel.queue_declare(queue, durable=True, auto_delete=False, arguments=more)
                channel.queue_bind(queue, names.EXCHANGE, queue if kind == "direct" else "10")
            channel.queue_declare(names.REPLIES, durable=True, auto_delete=False)

    def put(self, *bodies: bytes, queue: str = names.REPLIES) -> None:
        with self.channel() as channel:
            for body in bodies:
                channel.basic_publish(Message(body, content_type="application/json"), "", queue)
            channel.queue_declare(queue, passive=True)

    def take(self, queue: str = names.COMMANDS) -> list[Any]:
        """Every message of the queue, oldest first; they are gone then."""
        found: list[Any] = []
        with self.channel() as channel:
            count = channel.queue_declare(queue, passive=True).message_count
            # Not by basic.get: quorum queues with a single active consumer do not have it.
            channel.basic_consume(queue, no_ack=True, callback=found.append)
            while len(found) < count:
                channel.connection.drain_events(timeout=10)
        return found
