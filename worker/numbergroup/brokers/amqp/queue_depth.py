"""Counts the messages in queues for commands that only look, such as `numbergroup status`.

All functions block. They raise `UnfitServer` if waiting does not help, or `BrokerUnavailable`.
"""

from collections.abc import Mapping
from contextlib import suppress

from amqp.exceptions import AccessRefused, NotFound, ResourceLocked

from numbergroup.brokers.amqp import topology
from numbergroup.brokers.amqp.connection_thread import temporary_connection
from numbergroup.brokers.lookalikes import Lookalike, queue_names_to_check

_NAME = "numbergroup status"


def count_ready(url: str, partitions: int) -> Mapping[int, int]:
    """Return how many messages of each partition no consumer holds."""
    with temporary_connection(url, _NAME) as connection:
        return topology.count_ready(connection, partitions)


def count_strays(url: str, partitions: int) -> Mapping[str, int]:
    """Return the number of ready messages in each queue that belongs to another number of partitions."""
    with temporary_connection(url, _NAME) as connection:
        return topology.count_strays(connection, partitions)


def find_lookalikes(url: str, partitions: int) -> list[Lookalike]:
    """Return the existing queues with misspelled names, with the number of messages in each."""
    lookalikes = []
    with temporary_connection(url, _NAME) as connection:
        for name, intended_name in queue_names_to_check(partitions):
            with suppress(NotFound, AccessRefused, ResourceLocked):
                count = topology.declare_queue(connection, name, passive=True)
                lookalikes.append(Lookalike("queue", name, count=count, intended_name=intended_name))
    return lookalikes
