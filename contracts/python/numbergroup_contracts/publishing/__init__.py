"""Publishing commands from Python.

    from numbergroup_contracts import publish

    publish([{"specversion": "1.0", "id": "c-1", "source": "crm", …}], "redis://127.0.0.1:6379/0")

What a broker's own library is (`redis`, or `kombu` for RabbitMQ) is imported when it is needed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from numbergroup_contracts.event import MAX_EVENTS_PER_MESSAGE
from numbergroup_contracts.publishing.amqp_routing import ExchangeType
from numbergroup_contracts.publishing.errors import InvalidCommand, PublishError
from numbergroup_contracts.publishing.packing import Message, Publishable, chunks, messages
from numbergroup_contracts.publishing.to_amqp import AmqpSender
from numbergroup_contracts.publishing.to_redis import RedisSender
from numbergroup_contracts.publishing.urls import InvalidUrl, check_tls, parse, unverified

__all__ = ["ExchangeType", "InvalidCommand", "PublishError", "Receipt", "deliver", "publish"]


class Sender(Protocol):
    """A broker, to one who publishes. Everything but `lane_of` and `close` raises `PublishError`."""

    confirmed: int
    """How many commands are safe with the broker."""

    def lane_of(self, handle: str) -> str:
        """Where the commands of a group go; they stay in order."""

    def send(self, message: Message) -> None:
        """Send it, soon."""

    def flush(self) -> None:
        """Returns when all that was sent is confirmed."""

    def close(self) -> None:
        """Never raises."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was published."""

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
    """Publish commands to the broker at `url`, in order; returns how many, when all of them are confirmed.

    `commands` may be a generator without end: it is read some thousand at a time, and nothing of such a
    chunk is sent before the models have accepted all of it. Each is one of the models, a dict, or JSON
    (bytes or text), which is sent as it stands.

    `batch`: so many events of one partition go into one message, at most 1,000, and no message is larger
    than `max_message_bytes`. That is what makes publishing fast; the answers come in arrays, too. Where the
    exchange of RabbitMQ hashes (below), an array can hold events of one group only.

    `partitions`: as many as the workers have. On RabbitMQ, the exchange `numbergroup` of several partitions
    hashes where the broker has the plugin for that, and is direct where not; the broker is asked. A user who
    may not declare exchanges says it: `exchange="x-consistent-hash"` or `"direct"`.

    `timeout_s`: how long a broker may say nothing at all.

    `tls_verify=False`: the server's certificate and name are not verified. Anybody on the way can read and
    change the commands then. The URL alone cannot say that.

    Raises `PublishError` when not everything was published, `InvalidCommand` when something is no command,
    `ImportError` when the broker's library is not installed, `ValueError` for a mistake in the arguments, the
    URL among them.
    """
    known = None if exchange is None else ExchangeType(exchange)
    url = _checked(url, tls_verify=tls_verify)
    return deliver(commands, url, partitions, batch, max_message_bytes, known, timeout_s).commands


def deliver(
    commands: Iterable[Publishable],
    url: str,
    partitions: int,
    batch: int,
    max_message_bytes: int,
    exchange: ExchangeType | None,
    timeout_s: float,
) -> Receipt:
    """`publish`, for those who also want to know how many messages it took."""
    if not 1 <= batch <= MAX_EVENTS_PER_MESSAGE:
        raise ValueError(f"batch must be 1 to {MAX_EVENTS_PER_MESSAGE:,}")
    if partitions < 1:
        raise ValueError("partitions must be 1 or more")
    open_sender = _opener(url, partitions, exchange, timeout_s)
    sender: Sender | None = None
    count = 0
    try:
        for chunk in chunks(commands, batch, max_message_bytes):
            sender = sender or open_sender()
            for message in messages(chunk, sender.lane_of, batch, max_message_bytes):
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


def _opener(
    url: str, partitions: int, exchange: ExchangeType | None, timeout_s: float
) -> Callable[[], Sender]:
    if parse(url).is_amqp:
        return lambda: AmqpSender(url, partitions, exchange, timeout_s)
    return lambda: RedisSender(url, partitions, timeout_s)


def _checked(url: str, *, tls_verify: bool) -> str:
    """The URL, with nothing verified only if that is wanted. Raises `ValueError`, with no secret in it."""
    try:
        address = parse(url)
        check_tls(address)
        if tls_verify and not address.is_verified:
            raise InvalidUrl("switches the verification of certificates off: only tls_verify=False does that")
    except InvalidUrl as error:
        problem = f"url {error}"
    else:
        return url if tls_verify else unverified(url)
    raise ValueError(problem)
