"""Results on RabbitMQ: browsed by taking delivery of them and never acknowledging it.

When the connection closes, the broker puts them back where they were.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from numbergroup.cli.broker import broker_failure, broker_url
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.replies import Printer
from numbergroup.settings import Settings
from numbergroup_contracts.publishing.amqp_connection import connect, disconnect

# It has no types of its own.
_amqp: Any = import_module("amqp")

_TIMEOUT_S = 6.0
_LOOK_AGAIN_S = 0.2
_LOOKS = 25
_TAKEN_AT_ONCE = 1_000


def read(settings: Settings, queue: str, printer: Printer, *, follow: bool, take: bool) -> None:
    """Print what is there, oldest first; `take` acknowledges what was printed."""
    connection: Any = None
    try:
        with _talking(settings, queue):
            connection = connect(broker_url(settings), _TIMEOUT_S)
            replies = _Replies(connection, queue, take=take)
        while True:
            with _talking(settings, queue):
                messages = replies.read(follow=follow and not printer.has_answer)
            if messages is None:
                return
            printed = [message.delivery_tag for message in messages if printer.show(message.body)]
            printer.flush()
            if take:
                with _talking(settings, queue):
                    replies.acknowledge(printed)
    finally:
        if connection is not None:
            disconnect(connection)


@contextmanager
def _talking(settings: Settings, queue: str) -> Iterator[None]:
    try:
        yield
    except _amqp.NotFound:
        raise CommandError(
            f"the broker has no queue {queue}: a worker declares it when it starts (see --queue)"
        ) from None
    except _amqp.PreconditionFailed as error:
        raise CommandError(
            f"the broker has ended the looking at {queue} ({error.reply_text}): start again, or use --take"
        ) from None
    except (_amqp.AMQPError, OSError) as error:
        raise broker_failure(settings, error) from None


class _Replies:
    """The messages of a queue in order. At most `_TAKEN_AT_ONCE` are held where they are acknowledged."""

    def __init__(self, connection: Any, queue: str, *, take: bool) -> None:
        self._connection, self._queue = connection, queue
        self._channel = connection.channel()
        self._left = self._ready()
        self._idle = 0
        self._delivered: list[Any] = []
        self._channel.basic_qos(0, _TAKEN_AT_ONCE if take else 0, False)
        self._channel.basic_consume(queue, callback=self._delivered.append)

    def read(self, *, follow: bool) -> list[Any] | None:
        """The next messages, maybe none yet; None when those that were there at first have been read."""
        if not follow and self._left <= 0:
            return None
        try:
            self._connection.drain_events(timeout=_LOOK_AGAIN_S)
        except TimeoutError:
            # Others may have taken some of what was there.
            if not follow and self._ready() == 0 and not self._delivered:
                return None
            self._idle += 1
            if not follow and self._idle == _LOOKS and not self._delivered:
                raise CommandError(f"another consumer keeps {self._queue} to itself") from None
        messages, self._delivered[:] = self._delivered[:], []
        if messages:
            self._idle = 0
        self._left -= len(messages)
        return messages

    def acknowledge(self, tags: list[int]) -> None:
        for tag in tags:
            self._channel.basic_ack(tag)

    def _ready(self) -> int:
        return int(self._channel.queue_declare(self._queue, passive=True).message_count)
