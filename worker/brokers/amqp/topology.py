"""The queues and exchanges: declared where that is allowed, used as they are where it is not."""

import enum
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from amqp.exceptions import AccessRefused, AMQPError, NotFound, PreconditionFailed

from contracts.names import EXCHANGE, REPLIES, command_queue
from worker.brokers.amqp.link import open_connection
from worker.telemetry import get_logger

DEAD = "numbergroup.dead"
"""What the broker itself gives up: read by the worker, and taken into the dead letters."""
_DELIVERY_LIMIT = 1_000
_COMMAND_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-single-active-consumer": True,
    # Without a limit what is given back goes to the tail; a parked group may be given back often.
    "x-delivery-limit": _DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    # At-least-once dead-lettering needs it.
    "x-overflow": "reject-publish",
}
_DEAD_ARGUMENTS = {"x-queue-type": "quorum", "x-single-active-consumer": True}
_BY_HANDLE = "x-consistent-hash"

log = get_logger("rabbitmq")


class Routing(enum.Enum):
    """Who decides on the partition of a command."""

    PRODUCER = "the producer: routing key numbergroup.commands.<p>, p = crc32(handle) mod N"
    EXCHANGE = "the consistent-hash exchange numbergroup: routing key = the group's handle"
    UNKNOWN = "whoever declared the exchange numbergroup: this worker is not allowed to, and cannot tell"


@dataclass(slots=True)
class Topology:
    """What a worker with so many partitions needs of the broker."""

    partitions: int = 1
    routing: Routing = Routing.PRODUCER

    def queues(self) -> list[str]:
        return [command_queue(partition, self.partitions) for partition in range(self.partitions)]

    def establish(self, connection: Any, url: str) -> None:
        """See to it that everything is there, and find out who routes. Raises what py-amqp does.

        A queue that is there under other arguments is used as it is, and so is what must not be declared.
        """
        self._queues(connection)
        self._exchange(url)
        self._retire(connection)

    def _retire(self, connection: Any) -> None:
        """Let the queues of another number of partitions have no more commands: nobody takes them there."""
        several = self.partitions > 1
        alone = [command_queue(0, 1)] if several else []
        for queues in alone, _numbered(self.partitions if several else 0):
            # They were declared together: where one is missing, so are those after it.
            with suppress(NotFound):
                for queue in queues:
                    left = _declared(connection, queue, passive=True)
                    if left:
                        log.error("commands wait where nobody takes them", queue=queue, count=left)
                    with suppress(AccessRefused):
                        _unbind(connection, queue)

    def _queues(self, connection: Any) -> None:
        for queue in self.queues():
            self.declare(connection, queue, _COMMAND_ARGUMENTS)
        self.declare(connection, DEAD, _DEAD_ARGUMENTS)
        self.declare_replies(connection, REPLIES)

    def declare_replies(self, connection: Any, queue: str) -> None:
        """A queue for results: durable, and otherwise as any consumer would declare it."""
        self.declare(connection, queue, {})

    def declare(self, connection: Any, queue: str, arguments: dict[str, Any]) -> None:
        """Raises `NotFound` when it is missing and must not be declared."""
        try:
            _declared(connection, queue, durable=True, auto_delete=False, arguments=arguments)
        except PreconditionFailed as error:
            log.warning(
                "this queue has other arguments than ours, and is used as it is",
                queue=queue,
                difference=error.reply_text,
                ours=arguments,
            )
        except AccessRefused:
            log.warning("not allowed to declare this queue: it must be there", queue=queue)
            _declared(connection, queue, passive=True)

    def _exchange(self, url: str) -> None:
        named = {queue: queue for queue in self.queues()}
        if self.partitions == 1:
            refused = _bind(url, "direct", named)
        else:
            self.routing = Routing.EXCHANGE
            refused = _bind(url, _BY_HANDLE, dict.fromkeys(named, "1"))
            if isinstance(refused, AccessRefused):
                self.routing = Routing.UNKNOWN
            elif refused is not None:
                self.routing = Routing.PRODUCER
                refused = _bind(url, "direct", named)
            log.info("several partitions", partitions=self.partitions, routed_by=self.routing.value)
        if refused is not None:
            log.warning("the exchange is used as it is", exchange=EXCHANGE, reason=str(refused))


def waiting(connection: Any, partitions: int) -> dict[int, int]:
    """How many messages are ready in the queues of so many partitions. Raises what py-amqp does."""
    found: dict[int, int] = {}
    with suppress(NotFound):
        for partition in range(partitions):
            found[partition] = _declared(connection, command_queue(partition, partitions), passive=True)
    return found


def _numbered(first: int) -> Iterator[str]:
    return (command_queue(number, 2) for number in count(first))


def _declared(connection: Any, queue: str, **how: Any) -> int:
    """How many messages are ready in the queue.

    On a channel of its own, which ends with it: the broker closes it over what it does not want.
    """
    channel = connection.channel()
    ready: int = channel.queue_declare(queue, **how).message_count
    channel.close()
    return ready


def _unbind(connection: Any, queue: str) -> None:
    channel = connection.channel()
    # By hash, the key is the queue's weight.
    for key in (queue, "1"):
        channel.queue_unbind(queue, EXCHANGE, routing_key=key)
    channel.close()


def _bind(url: str, kind: str, keys: dict[str, str]) -> AMQPError | None:
    """Declare the exchange and bind queues to it; the broker's reason if it does not want that.

    On a connection of its own: the broker closes it over a kind of exchange that it does not know.
    """
    connection = open_connection(url, "numbergroup setup")
    try:
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, kind, durable=True, auto_delete=False)
        for queue, key in keys.items():
            channel.queue_bind(queue, EXCHANGE, routing_key=key)
    except AMQPError as error:
        return error
    finally:
        connection.collect()
    return None
