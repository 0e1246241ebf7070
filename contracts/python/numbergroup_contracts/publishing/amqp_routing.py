"""Finds out where commands go on RabbitMQ: workers set that up, so the broker is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from numbergroup_contracts import names
from numbergroup_contracts.publishing.amqp_connection import connect, disconnect
from numbergroup_contracts.publishing.errors import PublishError, import_optional


class ExchangeType(StrEnum):
    """The type of the exchange `numbergroup`, if there are several partitions."""

    HASH = "x-consistent-hash"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Route:
    """An exchange, and a function that returns the routing key for a group's handle."""

    exchange: str
    make_key: Callable[[str], str]


def find_route(url: str, partitions: int, exchange: ExchangeType | None, timeout_s: float) -> Route:
    """Return the route to so many partitions; `exchange` is its type, if it is known.

    Raises `PublishError` if the broker has no such exchange, or does not tell its type.
    """
    if partitions == 1:
        # The default exchange, which needs only a queue.
        return Route("", lambda _: names.COMMANDS)
    if (exchange or _find_exchange_type(url, timeout_s)) is ExchangeType.HASH:
        return Route(names.EXCHANGE, names.hash_key)
    return Route(
        names.EXCHANGE,
        lambda handle: names.command_queue(names.partition_of(handle, partitions), partitions),
    )


def _find_exchange_type(url: str, timeout_s: float) -> ExchangeType:
    """Declare the exchange as a hashing one: the broker's error tells what it is, and breaks the
    connection."""
    errors = import_optional("amqp.exceptions", "amqp")
    connection = connect(url, timeout_s)
    try:
        try:
            connection.channel().exchange_declare(names.EXCHANGE, "", passive=True)
        except errors.NotFound:
            raise PublishError(
                f"the broker has no exchange {names.EXCHANGE}: start a worker, which declares it"
            ) from None
        try:
            connection.channel().exchange_declare(
                names.EXCHANGE, ExchangeType.HASH.value, durable=True, auto_delete=False
            )
        except errors.PreconditionFailed as error:
            if "'type'" not in str(error.message):
                # It has that type, but was declared with other arguments.
                return ExchangeType.HASH
            return ExchangeType.DIRECT
        except errors.InvalidCommand:  # the plugin is not enabled
            return ExchangeType.DIRECT
        except errors.AccessRefused:
            raise PublishError(
                f"the broker does not let this user ask which type the exchange {names.EXCHANGE} has: "
                f"say it (exchange: {' or '.join(ExchangeType)})"
            ) from None
        return ExchangeType.HASH
    finally:
        disconnect(connection)
