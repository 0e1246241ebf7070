"""Where on RabbitMQ commands go: asked of the broker, which alone knows how a worker has set it up."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from numbergroup_contracts import names
from numbergroup_contracts.publishing.amqp_connection import connect, disconnect
from numbergroup_contracts.publishing.errors import PublishError, import_optional


class ExchangeType(StrEnum):
    """What the exchange `numbergroup` is, where there are several partitions."""

    HASH = "x-consistent-hash"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Route:
    """An exchange, and the routing key of a group by its handle."""

    exchange: str
    key_of: Callable[[str], str]


def route(url: str, partitions: int, exchange: ExchangeType | None, timeout_s: float) -> Route:
    """Raises `PublishError` where the broker has no such exchange, or does not say what it is."""
    if partitions == 1:
        # The default exchange: a queue is all that it takes.
        return Route("", lambda _: names.COMMANDS)
    if (exchange or _ask(url, timeout_s)) is ExchangeType.HASH:
        return Route(names.EXCHANGE, names.hash_key)
    return Route(
        names.EXCHANGE,
        lambda handle: names.command_queue(names.partition_of(handle, partitions), partitions),
    )


def _ask(url: str, timeout_s: float) -> ExchangeType:
    """Declare it as what it might be, on a connection that may break over that."""
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
                # Of that type, and declared with arguments of somebody's own.
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
