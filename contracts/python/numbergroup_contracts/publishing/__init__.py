"""Publishes commands from Python.

    from numbergroup_contracts import publish

    publish([{"specversion": "1.0", "id": "c-1", "source": "crm", …}], "redis://127.0.0.1:6379/0")

The client library of the broker (`redis`, or `kombu` for RabbitMQ) is imported when it is needed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from numbergroup_contracts.event import MAX_EVENTS_PER_MESSAGE
from numbergroup_contracts.publishing.amqp_routing import ExchangeType
from numbergroup_contracts.publishing.errors import InvalidCommand, PublishError
from numbergroup_contracts.publishing.packing import Message, Publishable, pack_messages, read_chunks
from numbergroup_contracts.publishing.to_amqp import AmqpSender
from numbergroup_contracts.publishing.to_redis import RedisSender
from numbergroup_contracts.publishing.urls import InvalidUrl, check_tls, parse, unverified

__all__ = ["ExchangeType", "InvalidCommand", "InvalidUrl", "PublishError", "Receipt", "deliver", "publish"]


class Sender(Protocol):
    """Sends messages to one broker. Every method except `find_destination` and `close` raises
    `PublishError`."""

    confirmed: int
    """How many commands the broker has confirmed."""

    def find_destination(self, handle: str) -> str:
        """Return the stream or routing key of a group's commands, which keeps their order."""

    def send(self, message: Message) -> None:
        """Send the message, at once or with later ones."""

    def flush(self) -> None:
        """Return when all messages are confirmed."""

    def close(self) -> None:
        """Close the connection. Never raises."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """How many commands and messages were published."""

    commands: int
    messages: int


def publish(
    commands: Iterable[Publishable],
    url: str,
    *,
    partitions: int = 1,
    batch: int = 1,
    max_message_bytes: int = 1_048_576,
    exchange: ExchangeType | str | None = None,
    timeout_s: float = 30.0,
    tls_verify: bool = True,
) -> int:
    """Publish commands to the broker at `url`, in order. Return their number when all are confirmed.

    `commands` may be an endless generator. It is read in chunks of about a thousand; a chunk is sent only
    after all of its commands were validated. Each command is a model, a dict, or JSON (bytes or text), which
    is sent unchanged.

    `batch`: how many events of one partition go into one message, at most 1,000. This makes publishing fast;
    the results arrive in arrays, too. No message is larger than `max_message_bytes`. With a hashing exchange
    of RabbitMQ (below), an array has events of one group only.

    `partitions`: the workers' number of partitions. With several partitions, RabbitMQ's exchange
    `numbergroup` hashes if the broker has the plugin for it, and is direct otherwise; `publish` asks the
    broker which it is. If the user may not declare exchanges, `exchange` must name the type:
    `"x-consistent-hash"` or `"direct"`.

    `timeout_s`: the longest time without an answer of the broker, in seconds.

    `tls_verify=False`: the server's certificate and name are not verified, so that an attacker in between can
    read and change the commands. The URL alone cannot switch verification off.

    Raises `PublishError` if not everything was published, `InvalidCommand` if a command is invalid,
    `ImportError` if the broker's client library is not installed, and `ValueError` for an invalid argument:
    `InvalidUrl` for the URL.
    """
    exchange_type = None if exchange is None else ExchangeType(exchange)
    url = _check_url(url, tls_verify=tls_verify)
    receipt = deliver(
        commands,
        url,
        partitions=partitions,
        batch=batch,
        max_message_bytes=max_message_bytes,
        exchange=exchange_type,
        timeout_s=timeout_s,
    )
    return receipt.commands


def deliver(
    commands: Iterable[Publishable],
    url: str,
    *,
    partitions: int,
    batch: int,
    max_message_bytes: int,
    exchange: ExchangeType | None,
    timeout_s: float,
) -> Receipt:
    """Publish like `publish`, to a URL that was checked. Return the numbers of commands and messages."""
    if not 1 <= batch <= MAX_EVENTS_PER_MESSAGE:
        raise ValueError(f"batch must be 1 to {MAX_EVENTS_PER_MESSAGE:,}")
    if partitions < 1:
        raise ValueError("partitions must be 1 or more")
    open_sender = _sender_opener(url, partitions, exchange, timeout_s)
    sender: Sender | None = None
    count = 0
    try:
        for chunk in read_chunks(commands, batch, max_message_bytes):
            sender = sender or open_sender()
            for message in pack_messages(chunk, sender.find_destination, batch, max_message_bytes):
                sender.send(message)
                count += 1
        if sender is None:
            return Receipt(0, 0)
        sender.flush()
        return Receipt(sender.confirmed, count)
    except InvalidCommand as error:
        if sender is not None:
            sender.flush()
            error.confirmed = sender.confirmed
        raise
    finally:
        if sender is not None:
            sender.close()


def _sender_opener(
    url: str, partitions: int, exchange: ExchangeType | None, timeout_s: float
) -> Callable[[], Sender]:
    if parse(url).is_amqp:
        return lambda: AmqpSender(url, partitions, exchange, timeout_s)
    return lambda: RedisSender(url, partitions, timeout_s)


def _check_url(url: str, *, tls_verify: bool) -> str:
    """Return the URL with verification as requested. Raises `InvalidUrl`, without a secret in its text."""
    try:
        address = parse(url)
        check_tls(address)
        if tls_verify and not address.is_verified:
            raise InvalidUrl("switches the verification of certificates off: only tls_verify=False does that")
    except InvalidUrl as error:
        problem = f"url {error}"
    else:
        return url if tls_verify else unverified(url)
    raise InvalidUrl(problem)
