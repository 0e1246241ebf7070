"""Publishes to RabbitMQ: persistent, mandatory and confirmed, without waiting for each confirmation."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import Any

from numbergroup_contracts.publishing.amqp_connection import connect, disconnect
from numbergroup_contracts.publishing.amqp_routing import ExchangeType, find_route
from numbergroup_contracts.publishing.errors import PublishError, import_optional
from numbergroup_contracts.publishing.packing import Message

_MAX_UNCONFIRMED = 1_000
_PERSISTENT = {"delivery_mode": 2}


class AmqpSender:
    """Implements `numbergroup_contracts.publishing.Sender` with publisher confirms.

    It declares nothing: the worker decides on the arguments of queues, and a declaration with others would
    fail here or there.
    """

    def __init__(self, url: str, partitions: int, exchange: ExchangeType | None, timeout_s: float) -> None:
        self.confirmed = 0
        self._timeout_s = timeout_s
        self._tag = 0
        self._unconfirmed: dict[int, int] = {}
        self._problem: str | None = None
        self._blocked = False
        self._errors: tuple[type[Exception], ...] = (import_optional("amqp", "amqp").AMQPError, OSError)
        self._connection: Any = None
        with self._translate_errors():
            self._route = find_route(url, partitions, exchange, timeout_s)
            self._connection = connect(
                url, timeout_s, on_blocked=self._on_blocked, on_unblocked=self._on_unblocked
            )
            try:
                self._channel = self._connection.channel()
                self._channel.events["basic_ack"].add(self._on_ack)
                self._channel.events["basic_nack"].add(self._on_nack)
                self._channel.events["basic_return"].add(self._on_return)
                self._channel.confirm_select()
            except Exception:
                self.close()
                raise

    def find_destination(self, handle: str) -> str:
        return self._route.make_key(handle)

    def send(self, message: Message) -> None:
        # The tag comes first: the call that sends the message may also read its confirmation.
        self._tag += 1
        self._unconfirmed[self._tag] = message.commands
        with self._translate_errors():
            self._channel.basic_publish(
                self._channel.prepare_message(
                    message.body, content_type="application/json", properties=_PERSISTENT
                ),
                self._route.exchange,
                message.destination,
                mandatory=True,
            )
        if len(self._unconfirmed) >= _MAX_UNCONFIRMED:
            self._wait_for_confirms(_MAX_UNCONFIRMED // 2)

    def flush(self) -> None:
        self._wait_for_confirms(0)

    def close(self) -> None:
        if self._problem is None:
            disconnect(self._connection)
            return
        with suppress(Exception):
            # A broker that accepts nothing would not accept a `close`, either.
            self._connection.collect()

    def _wait_for_confirms(self, max_unconfirmed: int) -> None:
        """Wait until at most `max_unconfirmed` messages are unconfirmed."""
        with self._translate_errors():
            while len(self._unconfirmed) > max_unconfirmed and self._problem is None:
                self._connection.drain_events(timeout=self._timeout_s)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise `PublishError` for errors within, and for problems that the broker reported meanwhile."""
        try:
            yield
        except PublishError:
            raise
        except Exception as error:
            # With a lost connection, py-amqp also raises AttributeError and others.
            if self._is_connected() and not isinstance(error, self._errors):
                raise
            if self._problem is None:
                self._problem = self._describe(error)
                # If the broker is blocked, the error is only a consequence.
                raise PublishError(self._problem, self.confirmed) from (None if self._blocked else error)
        if self._problem is not None:
            # Not raised in the callbacks, because py-amqp calls them.
            raise PublishError(self._problem, self.confirmed)

    def _is_connected(self) -> bool:
        return self._connection is None or bool(self._connection.connected)

    def _describe(self, error: Exception) -> str:
        if self._blocked:
            return "RabbitMQ takes no messages, it is short of memory or disk (connection.blocked)"
        if isinstance(error, TimeoutError) or "timed out" in str(error):
            return f"RabbitMQ has answered nothing for {self._timeout_s:g} s"
        return f"the connection to RabbitMQ failed: {error}"

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self.confirmed += sum(self._remove_unconfirmed(tag, multiple))

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._remove_unconfirmed(tag, multiple)
        self._problem = "RabbitMQ has refused a message (basic.nack): a queue of it is full, or has failed"

    def _remove_unconfirmed(self, tag: int, multiple: bool) -> list[int]:
        """Remove the message, or all up to it; return their numbers of commands."""
        tags = list(takewhile(lambda other: other <= tag, self._unconfirmed)) if multiple else [tag]
        return [self._unconfirmed.pop(tag) for tag in tags]

    def _on_return(self, _error: Exception, exchange: str, key: str, _message: Any) -> None:
        queue = f"no queue for {key} behind the exchange {exchange}" if exchange else f"no queue {key}"
        hint = " (are there as many partitions as you say?)" if exchange else ""
        self._problem = f"RabbitMQ has {queue}: start a worker, which declares the queues{hint}"

    def _on_blocked(self, _reason: str) -> None:
        self._blocked = True

    def _on_unblocked(self) -> None:
        self._blocked = False
