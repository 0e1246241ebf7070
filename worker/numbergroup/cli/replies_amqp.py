"""Reads results from RabbitMQ by consuming messages without acknowledging them.

When the connection closes, the broker puts them back at their places in the queue.
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

# The package has no types.
_amqp: Any = import_module("amqp")

_TIMEOUT_S = 6.0
_POLL_S = 0.2
_MAX_IDLE_POLLS = 25
_PREFETCH = 1_000


def read(settings: Settings, queue: str, printer: Printer, *, follow: bool, remove: bool) -> None:
    """Print the messages of the queue, oldest first. With `remove`, acknowledge those that were printed."""
    connection: Any = None
    try:
        with _translate_errors(settings, queue):
            connection = connect(broker_url(settings), _TIMEOUT_S)
            replies = _Replies(connection, queue, remove=remove)
        while True:
            with _translate_errors(settings, queue):
                messages = replies.read(follow=follow and not printer.has_answer)
            if messages is None:
                return
            printed = [message.delivery_tag for message in messages if printer.print_message(message.body)]
            printer.flush()
            if remove:
                with _translate_errors(settings, queue):
                    replies.acknowledge(printed)
    finally:
        if connection is not None:
            disconnect(connection)


@contextmanager
def _translate_errors(settings: Settings, queue: str) -> Iterator[None]:
    try:
        yield
    except _amqp.NotFound:
        raise CommandError(
            f"the broker has no queue {queue}: is its name right (--queue)? A worker declares it at its start"
        ) from None
    except _amqp.PreconditionFailed as error:
        raise CommandError(
            f"the broker stopped the delivery from {queue} ({error.reply_text}): run the command "
            "again, or use --take"
        ) from None
    except (_amqp.AMQPError, OSError) as error:
        raise broker_failure(settings, error) from None


class _Replies:
    """The messages of a queue, in order. With `remove`, at most `_PREFETCH` are unacknowledged at a time."""

    def __init__(self, connection: Any, queue: str, *, remove: bool) -> None:
        self._connection, self._queue = connection, queue
        self._channel = connection.channel()
        self._remaining = self._count_ready()
        self._idle_polls = 0
        self._delivered: list[Any] = []
        self._channel.basic_qos(0, _PREFETCH if remove else 0, False)
        self._channel.basic_consume(queue, callback=self._delivered.append)

    def read(self, *, follow: bool) -> list[Any] | None:
        """Return the next messages, maybe none. Without `follow`, return `None` at the end of the queue.

        The end is the last message that was there at first. Raises `CommandError` when another consumer gets
        all messages.
        """
        if not follow and self._remaining <= 0:
            return None
        try:
            self._connection.drain_events(timeout=_POLL_S)
        except TimeoutError:
            # Other consumers may have received some of the messages.
            if not follow and self._count_ready() == 0 and not self._delivered:
                return None
            self._idle_polls += 1
            if not follow and self._idle_polls == _MAX_IDLE_POLLS and not self._delivered:
                raise CommandError(
                    f"another consumer receives all messages of {self._queue}: stop it first"
                ) from None
        messages, self._delivered[:] = self._delivered[:], []
        if messages:
            self._idle_polls = 0
        self._remaining -= len(messages)
        return messages

    def acknowledge(self, tags: list[int]) -> None:
        """Remove the messages with these delivery tags from the queue."""
        for tag in tags:
            self._channel.basic_ack(tag)

    def _count_ready(self) -> int:
        return int(self._channel.queue_declare(self._queue, passive=True).message_count)
