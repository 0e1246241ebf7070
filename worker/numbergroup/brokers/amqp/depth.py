"""How much waits in the queues, for whoever only wants to look."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from amqp.exceptions import AccessRefused, NotFound, ResourceLocked

from numbergroup.brokers.amqp.connection_thread import FAILURES, REFUSALS, open_connection
from numbergroup.brokers.amqp.topology import ready, strays
from numbergroup.brokers.connect import UnfitServer
from numbergroup.brokers.lookalikes import Lookalike, amqp_names
from numbergroup.brokers.port import BrokerUnavailable


def depth(url: str, partitions: int) -> Mapping[int, int]:
    """How many messages of each partition are in nobody's hands. Blocks.

    Raises `UnfitServer` where no waiting helps, `BrokerUnavailable` for a broker that is away.
    """
    with _looking(url) as connection:
        return ready(connection, partitions)


def stray_depth(url: str, partitions: int) -> Mapping[str, int]:
    """The same, of each queue that belongs to another number of partitions."""
    with _looking(url) as connection:
        return strays(connection, partitions)


def depth_of_lookalikes(url: str, partitions: int) -> list[Lookalike]:
    """The queues that were probably taken for ours, and how many messages are in them. Blocks.

    Raises as `depth`.
    """
    found = []
    with _looking(url) as connection:
        for name, meant in amqp_names(partitions):
            with suppress(NotFound, AccessRefused, ResourceLocked):
                channel = connection.channel()
                count = channel.queue_declare(name, passive=True).message_count
                channel.close()
                found.append(Lookalike("queue", name, count, meant))
    return found


@contextmanager
def _looking(url: str) -> Iterator[Any]:
    try:
        connection = open_connection(url, "numbergroup status")
    except REFUSALS as error:
        raise UnfitServer(f"the broker refuses NUMBERGROUP_BROKER_URL ({error})") from error
    except FAILURES as error:
        raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
    try:
        yield connection
    except FAILURES as error:
        raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
    finally:
        connection.collect()
