"""The queues and exchanges: declared where that is allowed, used as they are where it is not."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from amqp.exceptions import AccessRefused, ChannelError, NotFound, PreconditionFailed, ResourceLocked

from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import EXCHANGE, REPLIES, command_queue

DEAD = "numbergroup.dead"
"""What the broker itself gives up: read by the worker, and taken into the dead letters."""
_DELIVERY_LIMIT = 1_000
_NO_LIMIT = 1_000_000
_LIMITED_SINCE = 4
COMMAND_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-single-active-consumer": True,
    # Without a limit what is given back goes to the tail; a parked group may be given back often.
    "x-delivery-limit": _DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    # At-least-once dead-dead_letter_facts needs it.
    "x-overflow": "reject-publish",
}
DEAD_ARGUMENTS = {"x-queue-type": "quorum", "x-single-active-consumer": True}
"""As it is declared where quorum queues have no limit unless one is declared."""
# RabbitMQ 4 has a limit of 20 where none is declared: a result that was looked at more often would be lost.
_REPLY_ARGUMENTS: dict[str, dict[str, Any]] = {
    "classic": {"x-queue-type": "classic"},
    "quorum": {"x-queue-type": "quorum", "x-delivery-limit": _NO_LIMIT},
}
_BY_HASH = "x-consistent-hash"

log = get_logger("rabbitmq")


@dataclass(slots=True)
class Topology:
    """What a worker with so many partitions needs of the broker."""

    partitions: int = 1
    by_handle: bool = True
    """Whether commands are in the partition of their handle: not known of somebody else's exchange."""
    reply_type: str = "classic"
    """`classic` or `quorum`: of the reply queues that are declared here."""
    reply_expires_ms: int = 0
    """After how long without a consumer a reply queue ends that was declared for a `replyto`; 0: never."""

    def queues(self) -> list[str]:
        return [command_queue(partition, self.partitions) for partition in range(self.partitions)]

    def establish(self, connection: Any) -> None:
        """See to it that everything is there. Raises what py-amqp does.

        A queue that is there under other arguments is used as it is, and so is what must not be declared.
        """
        self._queues(connection)
        self._exchange(connection)
        self._retire(connection)

    def _retire(self, connection: Any) -> None:
        """Let the queues of another number of partitions have no more commands from the exchange."""
        for queue, left in strays(connection, self.partitions).items():
            if left:
                log.error(
                    "commands wait that were published for another number of partitions: they are misrouted",
                    queue=queue,
                    count=left,
                )
            with suppress(AccessRefused):
                _unbind(connection, queue)

    def _queues(self, connection: Any) -> None:
        for queue in self.queues():
            self.declare(connection, queue, COMMAND_ARGUMENTS)
        version = str(connection.server_properties.get("version", ""))
        self.declare(connection, DEAD, dead_arguments(version))
        self.declare_replies(connection, REPLIES)

    def declare_replies(self, connection: Any, queue: str) -> None:
        """A queue for results, durable. The default one stays for ever."""
        arguments = dict(_REPLY_ARGUMENTS[self.reply_type])
        if queue != REPLIES and self.reply_expires_ms:
            arguments["x-expires"] = self.reply_expires_ms
        self.declare(connection, queue, arguments)

    def declare(self, connection: Any, queue: str, arguments: dict[str, Any]) -> None:
        """Raises `NotFound` when it is missing and must not be declared."""
        try:
            declare_once(connection, queue, durable=True, auto_delete=False, arguments=arguments)
        except PreconditionFailed as error:
            log.warning(
                "this queue has other arguments than ours, and is used as it is",
                queue=queue,
                difference=error.reply_text,
                ours=arguments,
            )
        except AccessRefused:
            log.warning("not allowed to declare this queue: it must be there", queue=queue)
            declare_once(connection, queue, passive=True)

    def _exchange(self, connection: Any) -> None:
        """A direct one: whoever publishes names the partition, by the wire's formula.

        Measured on RabbitMQ 3.10: a consistent-hash exchange gives most keys another queue after the broker's
        first restart. A group would be in two partitions then, and its commands in no order.
        """
        weight = None
        self.by_handle = True
        channel = connection.channel()
        try:
            channel.exchange_declare(EXCHANGE, "direct", durable=True, auto_delete=False)
        except (PreconditionFailed, AccessRefused) as error:
            self.by_handle = isinstance(error, AccessRefused)
            weight = "1" if _BY_HASH in str(error.reply_text) else None
            log.error(
                "the exchange is not ours and is used as it is; by hash, groups may lose their order when "
                "RabbitMQ restarts"
                if weight
                else "the exchange is not ours and is used as it is",
                exchange=EXCHANGE,
                reason=error.reply_text,
            )
            channel = connection.channel()
        try:
            for queue in self.queues():
                channel.queue_bind(queue, EXCHANGE, routing_key=weight or queue)
            channel.close()
        except (AccessRefused, NotFound) as error:
            log.warning("not allowed to bind the exchange: it must be bound", reason=error.reply_text)
        if self.partitions > 1:
            log.info(
                "several partitions: producers publish to the exchange with the routing key of the queue",
                exchange=EXCHANGE,
                keys=f"{self.queues()[0]} to {self.queues()[-1]}",
                formula=f"crc32(groupKey or groupId) mod {self.partitions}",
            )


def dead_arguments(version: str) -> dict[str, Any]:
    """How the queue of dead letters is declared on RabbitMQ of this version."""
    if has_default_limit(version):
        return {**DEAD_ARGUMENTS, "x-delivery-limit": _NO_LIMIT}
    # It was never declared with a limit there, and another declaration would be refused.
    return dict(DEAD_ARGUMENTS)


def has_default_limit(version: str) -> bool:
    """Whether RabbitMQ of this version limits the deliveries of a quorum queue that says nothing of it:
    https://www.rabbitmq.com/docs/quorum-queues"""
    major = version.partition(".")[0]
    return major.isdigit() and int(major) >= _LIMITED_SINCE


def is_there(connection: Any, queue: str) -> bool:
    """Whether there is a queue of this name, whoever it belongs to, or a client that waits at this address.
    Raises what py-amqp does over a lost connection."""
    try:
        declare_once(connection, queue, passive=True)
    except NotFound:
        return False
    except ChannelError:
        # Somebody keeps it to himself, or keeps us from looking.
        return True
    return True


def is_locked(connection: Any, queue: str) -> bool:
    """Whether the queue is exclusive to another connection. Raises what py-amqp does over a lost one."""
    try:
        declare_once(connection, queue, passive=True)
    except ResourceLocked:
        return True
    except ChannelError:
        return False
    return False


def strays(connection: Any, partitions: int) -> dict[str, int]:
    """The queues of another number of partitions, and how many messages are ready in each.

    Raises what py-amqp does, but for queues that it must not look into.
    """
    several = partitions > 1
    alone = [command_queue(0, 1)] if several else []
    found: dict[str, int] = {}
    for queues in alone, _numbered(partitions if several else 0):
        # They were declared together: where one is missing, so are those after it.
        with suppress(NotFound, ResourceLocked, AccessRefused):
            for queue in queues:
                found[queue] = declare_once(connection, queue, passive=True)
    return found


def waiting(connection: Any, partitions: int) -> dict[int, int]:
    """How many messages wait in the queues of so many partitions. Raises what py-amqp does.

    What a consumer has in hand the broker does not tell: each consumer counts as a message.
    """
    found = _counts(connection, partitions)
    return {partition: messages + consumers for partition, (messages, consumers) in found.items()}


def ready(connection: Any, partitions: int) -> dict[int, int]:
    """How many messages in each of these queues no consumer has in hand. Raises what py-amqp does."""
    return {partition: messages for partition, (messages, _) in _counts(connection, partitions).items()}


def _counts(connection: Any, partitions: int) -> dict[int, tuple[int, int]]:
    """Messages that are ready, and consumers."""
    found: dict[int, tuple[int, int]] = {}
    with suppress(NotFound):
        for partition in range(partitions):
            channel = connection.channel()
            there = channel.queue_declare(command_queue(partition, partitions), passive=True)
            found[partition] = there.message_count, there.consumer_count
            channel.close()
    return found


def _numbered(first: int) -> Iterator[str]:
    return (command_queue(number, 2) for number in count(first))


def declare_once(connection: Any, queue: str, **how: Any) -> int:
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
