"""Declares the queues and the exchange, and counts messages in queues.

What the worker must not declare, and what exists with other arguments, is used as it is.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from amqp.exceptions import AccessRefused, ChannelError, NotFound, PreconditionFailed, ResourceLocked

from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import EXCHANGE, REPLIES, command_queue

DEAD_LETTER_QUEUE = "numbergroup.dead"
"""Where RabbitMQ dead-letters commands. The worker consumes it, and keeps them in the ledger."""
_DELIVERY_LIMIT = 1_000
_NO_LIMIT = 1_000_000
_LIMITED_SINCE = 4
COMMAND_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-single-active-consumer": True,
    # Without a limit, requeued messages go to the tail; those of a parked group may be requeued often.
    "x-delivery-limit": _DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD_LETTER_QUEUE,
    "x-dead-letter-strategy": "at-least-once",
    # At-least-once dead-lettering needs it.
    "x-overflow": "reject-publish",
}
DEAD_LETTER_ARGUMENTS = {"x-queue-type": "quorum", "x-single-active-consumer": True}
"""For RabbitMQ before version 4, where quorum queues have no delivery limit by default."""
# RabbitMQ 4 has a default limit of 20: a result that was read and requeued more often would be lost.
_REPLY_ARGUMENTS: dict[str, dict[str, Any]] = {
    "classic": {"x-queue-type": "classic"},
    "quorum": {"x-queue-type": "quorum", "x-delivery-limit": _NO_LIMIT},
}
_CONSISTENT_HASH = "x-consistent-hash"

log = get_logger("rabbitmq")


@dataclass(slots=True)
class Topology:
    """The queues and the exchange of a worker with this number of partitions.

    - `by_handle`: whether commands are in the partition of their handle. False if others declared the
      exchange, because its routing is unknown.
    - `reply_type`: `classic` or `quorum`, for the reply queues that the worker declares.
    - `reply_expires_ms`: when an unused reply queue is deleted that was declared for a `replyto`. 0: never.
    """

    partitions: int = 1
    by_handle: bool = True
    reply_type: str = "classic"
    reply_expires_ms: int = 0

    def command_queues(self) -> list[str]:
        return [command_queue(partition, self.partitions) for partition in range(self.partitions)]

    def declare_all(self, connection: Any) -> None:
        """Declare all queues and the exchange, and bind them. Sets `by_handle`.

        Raises `NotFound` if a queue is missing and must not be declared, and what py-amqp raises if the
        connection is lost.
        """
        for queue in self.command_queues():
            _declare_or_use(connection, queue, COMMAND_ARGUMENTS)
        version = str(connection.server_properties.get("version", ""))
        _declare_or_use(connection, DEAD_LETTER_QUEUE, dead_letter_arguments(version))
        self.declare_reply_queue(connection, REPLIES)
        self._bind_queues(connection, self._declare_exchange(connection))
        self._unbind_strays(connection)

    def declare_reply_queue(self, connection: Any, queue: str) -> None:
        """Declare a durable queue for results. Only queues other than the default one may expire.

        Raises like `declare_all`.
        """
        arguments = dict(_REPLY_ARGUMENTS[self.reply_type])
        if queue != REPLIES and self.reply_expires_ms:
            arguments["x-expires"] = self.reply_expires_ms
        _declare_or_use(connection, queue, arguments)

    def _declare_exchange(self, connection: Any) -> bool:
        """Declare a direct exchange; return whether the existing one is a consistent-hash exchange.

        With a direct exchange, the publisher chooses the partition, by the documented formula. Measured on
        RabbitMQ 3.10: a consistent-hash exchange routes most keys to other queues after the broker's first
        restart. Then a group's commands would be in two partitions, in no order.
        """
        self.by_handle = True
        channel = connection.channel()
        try:
            channel.exchange_declare(EXCHANGE, "direct", durable=True, auto_delete=False)
        except (PreconditionFailed, AccessRefused) as error:
            self.by_handle = isinstance(error, AccessRefused)
            is_hashing = _CONSISTENT_HASH in str(error.reply_text)
            log.error(
                "the exchange routes by consistent hash, and is used as it is: groups may lose their order "
                "when RabbitMQ restarts"
                if is_hashing
                else "the exchange cannot be declared, and is used as it is",
                exchange=EXCHANGE,
                reason=error.reply_text,
            )
            return is_hashing
        channel.close()
        return False

    def _bind_queues(self, connection: Any, is_hashing: bool) -> None:
        channel = connection.channel()
        try:
            for queue in self.command_queues():
                # A consistent-hash exchange takes the key as the queue's weight.
                channel.queue_bind(queue, EXCHANGE, routing_key="1" if is_hashing else queue)
            channel.close()
        except (AccessRefused, NotFound) as error:
            log.warning(
                "the queues cannot be bound to the exchange: an operator must bind them",
                reason=error.reply_text,
            )
        if self.partitions > 1:
            log.info(
                "several partitions: producers publish to the exchange with the routing key of the queue",
                exchange=EXCHANGE,
                keys=f"{self.command_queues()[0]} to {self.command_queues()[-1]}",
                formula=f"crc32(groupKey or groupId) mod {self.partitions}",
            )

    def _unbind_strays(self, connection: Any) -> None:
        """Keep the exchange from routing commands to queues of another number of partitions."""
        for queue, waiting in count_strays(connection, self.partitions).items():
            if waiting:
                log.error(
                    "this queue is of another number of partitions: its commands are answered as misrouted",
                    queue=queue,
                    count=waiting,
                )
            with suppress(AccessRefused):
                channel = connection.channel()
                # The second key is that of a consistent-hash exchange.
                for key in (queue, "1"):
                    channel.queue_unbind(queue, EXCHANGE, routing_key=key)
                channel.close()


def dead_letter_arguments(version: str) -> dict[str, Any]:
    """Return how the dead-letter queue is declared on RabbitMQ of this version."""
    if has_default_limit(version):
        return {**DEAD_LETTER_ARGUMENTS, "x-delivery-limit": _NO_LIMIT}
    # Earlier workers declared it without a limit there; RabbitMQ refuses a different declaration.
    return dict(DEAD_LETTER_ARGUMENTS)


def has_default_limit(version: str) -> bool:
    """Whether RabbitMQ of this version has a default delivery limit for quorum queues:
    https://www.rabbitmq.com/docs/quorum-queues"""
    major = version.partition(".")[0]
    return major.isdigit() and int(major) >= _LIMITED_SINCE


def _declare_or_use(connection: Any, queue: str, arguments: dict[str, Any]) -> None:
    """Declare a durable queue. Raises `NotFound` if it is missing and must not be declared."""
    try:
        declare_queue(connection, queue, durable=True, auto_delete=False, arguments=arguments)
    except PreconditionFailed as error:
        log.warning(
            "this queue has other arguments than ours, and is used as it is",
            queue=queue,
            difference=error.reply_text,
            ours=arguments,
        )
    except AccessRefused:
        log.warning("no permission to declare this queue: it must exist", queue=queue)
        declare_queue(connection, queue, passive=True)


def declare_queue(connection: Any, queue: str, **options: Any) -> int:
    """Declare a queue; return how many of its messages are ready. Raises what py-amqp raises.

    Uses a channel of its own, because RabbitMQ closes the channel of a refused declaration.
    """
    channel = connection.channel()
    ready: int = channel.queue_declare(queue, **options).message_count
    channel.close()
    return ready


def queue_exists(connection: Any, queue: str) -> bool:
    """Whether a queue of this name exists, or a client waits at this direct reply-to address.

    Raises what py-amqp raises if the connection is lost.
    """
    try:
        declare_queue(connection, queue, passive=True)
    except NotFound:
        return False
    except ChannelError:
        # The queue is exclusive to another connection, or the user must not see it.
        return True
    return True


def is_exclusive_to_another(connection: Any, queue: str) -> bool:
    """Whether the queue is exclusive to another connection. Raises like `queue_exists`."""
    try:
        declare_queue(connection, queue, passive=True)
    except ResourceLocked:
        return True
    except ChannelError:
        return False
    return False


def count_strays(connection: Any, partitions: int) -> dict[str, int]:
    """Return the queues of another number of partitions, with the number of ready messages in each.

    Queues that the user must not see are left out. Raises what py-amqp raises otherwise.
    """
    are_several = partitions > 1
    of_one_partition = [command_queue(0, 1)] if are_several else []
    ready: dict[str, int] = {}
    for queues in of_one_partition, _numbered_queues(partitions if are_several else 0):
        # They were declared together: if one is missing, so are those after it.
        with suppress(NotFound, ResourceLocked, AccessRefused):
            for queue in queues:
                ready[queue] = declare_queue(connection, queue, passive=True)
    return ready


def count_waiting(connection: Any, partitions: int) -> dict[int, int]:
    """Return the number of ready messages and consumers of each partition's queue, added up.

    RabbitMQ does not tell how many messages consumers hold: each consumer counts as one message. Raises what
    py-amqp raises.
    """
    counts = _count_messages_and_consumers(connection, partitions)
    return {partition: messages + consumers for partition, (messages, consumers) in counts.items()}


def count_ready(connection: Any, partitions: int) -> dict[int, int]:
    """Return the number of ready messages of each partition's queue. Raises what py-amqp raises."""
    counts = _count_messages_and_consumers(connection, partitions)
    return {partition: messages for partition, (messages, _) in counts.items()}


def _count_messages_and_consumers(connection: Any, partitions: int) -> dict[int, tuple[int, int]]:
    counts: dict[int, tuple[int, int]] = {}
    with suppress(NotFound):
        for partition in range(partitions):
            channel = connection.channel()
            answer = channel.queue_declare(command_queue(partition, partitions), passive=True)
            counts[partition] = answer.message_count, answer.consumer_count
            channel.close()
    return counts


def _numbered_queues(first: int) -> Iterator[str]:
    return (command_queue(number, 2) for number in count(first))
