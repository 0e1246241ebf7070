"""The queues and exchanges: declared where that is allowed, used as they are where it is not."""

import enum
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from amqp.exceptions import AccessRefused, AMQPError, NotFound, PreconditionFailed

from contracts.names import EXCHANGE, REPLIES, command_queue
from worker.brokers.amqp_link import open_connection
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
    """`no_declare`: nothing is declared, everything must be there."""

    partitions: int = 1
    no_declare: bool = False
    routing: Routing = Routing.PRODUCER

    def queues(self) -> list[str]:
        return [command_queue(partition, self.partitions) for partition in range(self.partitions)]

    def establish(self, connection: Any, url: str) -> None:
        """See to it that everything is there, and find out who routes. Raises what py-amqp does.

        A queue that is there under other arguments is used as it is, and so is what must not be declared.
        """
        self._queues(connection)
        self._exchange(url)
        self._look_for_strays(connection)

    def _look_for_strays(self, connection: Any) -> None:
        """Commands in the queue of a worker with another number of partitions."""
        other = command_queue(0, 1 if self.partitions > 1 else 2)
        with suppress(NotFound):
            count = connection.channel().queue_declare(other, passive=True).message_count
            if count:
                log.error("commands wait where nobody takes them", queue=other, count=count)

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
        if not self.no_declare:
            try:
                _declared(connection, queue, durable=True, auto_delete=False, arguments=arguments)
            except PreconditionFailed as error:
                log.warning(
                    "this queue has other arguments than ours, and is used as it is",
                    queue=queue,
                    difference=error.reply_text,
                    ours=arguments,
                )
                return
            except AccessRefused:
                log.warning("not allowed to declare this queue: it must be there", queue=queue)
            else:
                return
        _declared(connection, queue, passive=True)

    def _exchange(self, url: str) -> None:
        queues = self.queues()
        if self.no_declare or self.partitions == 1:
            refused = None if self.no_declare else _bind(url, "direct", {queue: queue for queue in queues})
            self.routing = Routing.UNKNOWN if self.no_declare else Routing.PRODUCER
        else:
            self.routing = Routing.EXCHANGE
            refused = _bind(url, _BY_HANDLE, dict.fromkeys(queues, "1"))
            if isinstance(refused, AccessRefused):
                self.routing = Routing.UNKNOWN
            elif refused is not None:
                self.routing = Routing.PRODUCER
                refused = _bind(url, "direct", {queue: queue for queue in queues})
        if refused is not None:
            log.warning("the exchange is used as it is", exchange=EXCHANGE, reason=str(refused))
        if self.partitions > 1:
            log.info("several partitions", partitions=self.partitions, routed_by=self.routing.value)


def waiting(connection: Any, partitions: int) -> dict[int, int]:
    """How many messages are ready in the queues of so many partitions. Raises what py-amqp does."""
    found: dict[int, int] = {}
    with suppress(NotFound):
        # They are declared together: where one is missing, so are those after it.
        for partition in range(partitions):
            queue = command_queue(partition, partitions)
            found[partition] = connection.channel().queue_declare(queue, passive=True).message_count
    return found


def _declared(connection: Any, queue: str, **how: Any) -> None:
    """On a channel of its own, which ends with it: the broker closes it over what it does not want."""
    channel = connection.channel()
    channel.queue_declare(queue, **how)
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
