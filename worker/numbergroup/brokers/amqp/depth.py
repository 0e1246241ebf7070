"""How much waits in the queues, for whoever only wants to look."""

from collections.abc import Mapping
from contextlib import suppress

from amqp.exceptions import AccessRefused, NotFound, ResourceLocked

from numbergroup.brokers.amqp.connection_thread import connected
from numbergroup.brokers.amqp.topology import ready, strays
from numbergroup.brokers.lookalikes import Lookalike, queue_names_to_check

_NAME = "numbergroup status"


def depth(url: str, partitions: int) -> Mapping[int, int]:
    """How many messages of each partition are in nobody's hands. Blocks.

    Raises `UnfitServer` where no waiting helps, `BrokerUnavailable` for a broker that is away.
    """
    with connected(url, _NAME) as connection:
        return ready(connection, partitions)


def stray_depth(url: str, partitions: int) -> Mapping[str, int]:
    """The same, of each queue that belongs to another number of partitions."""
    with connected(url, _NAME) as connection:
        return strays(connection, partitions)


def depth_of_lookalikes(url: str, partitions: int) -> list[Lookalike]:
    """The queues that were probably taken for ours, and how many messages are in them. Blocks.

    Raises as `depth`.
    """
    found = []
    with connected(url, _NAME) as connection:
        for name, meant in queue_names_to_check(partitions):
            with suppress(NotFound, AccessRefused, ResourceLocked):
                channel = connection.channel()
                count = channel.queue_declare(name, passive=True).message_count
                channel.close()
                found.append(Lookalike("queue", name, count, meant))
    return found
