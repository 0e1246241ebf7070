"""Publishes results: persistent, mandatory, and with pipelined publisher confirms."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from amqp.exceptions import AMQPError, ChannelError, PreconditionFailed

from numbergroup.brokers.amqp.connection_thread import ConnectionThread
from numbergroup.brokers.amqp.outgoing import Outgoing, encode_chunks
from numbergroup.brokers.amqp.publish_batch import PublishBatch, PublishFailure
from numbergroup.brokers.amqp.topology import Topology, queue_exists
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import REPLIES

_CONFIRM_TIMEOUT_S = 30.0
_MAX_BYTES = 512 * 1024 * 1024
"""RabbitMQ's own limit for the setting max_message_size: https://www.rabbitmq.com/docs/configure"""
_TOO_LARGE = re.compile(r"message size \d+ .* (\d+)$")
_ACCEPTED_BYTES = 4_096

log = get_logger("rabbitmq")


class Publisher(ConnectionThread):
    """The publishing connection.

    It is not the consuming one, because RabbitMQ stops reading from it while memory or disk space is short.

    - `max_bytes`: no larger message is accepted, as far as it is known. RabbitMQ tells its limit by closing
      the channel; other messages that are on their way then may be published twice.
    - `accepted_bytes`: messages up to this size were accepted before.
    """

    def __init__(self, url: str, heartbeat_s: int, topology: Topology) -> None:
        super().__init__(url, "numbergroup publishing", heartbeat_s)
        self._topology = topology
        self._channel: Any = None
        self._batches: deque[PublishBatch] = deque()
        self._next_tag = 1
        self._missing_queues: set[str] = set()
        self._is_blocked = False
        self.max_bytes = _MAX_BYTES
        self.accepted_bytes = _ACCEPTED_BYTES

    async def publish(self, messages: Sequence[Outgoing]) -> dict[int, PublishFailure]:
        """Publish the messages, and wait for their confirms; return the failures, by position.

        May be called from any event loop.
        """
        if not messages:
            return {}
        loop = asyncio.get_running_loop()
        batch = PublishBatch(loop, loop.create_future(), messages)
        self.submit(lambda: self._publish(batch))
        failures = await batch.done
        if not failures:
            self.accepted_bytes = max(self.accepted_bytes, *(len(message.body) for message in messages))
        return failures

    async def find_missing(self, queues: Iterable[str]) -> set[str]:
        """Return those of the queues that do not exist; none if there is no connection.

        May be called from any event loop.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[set[str]] = loop.create_future()

        def set_answer(missing: set[str]) -> None:
            if not answer.done():
                answer.set_result(missing)

        def job() -> None:
            missing: set[str] = set()
            try:
                if self.connection is not None:
                    missing = {queue for queue in queues if not queue_exists(self.connection, queue)}
            finally:
                loop.call_soon_threadsafe(set_answer, missing)

        self.submit(job)
        return await answer

    def on_connected(self) -> None:
        self.connection.on_blocked = self._on_blocked
        self.connection.on_unblocked = self._on_unblocked
        self._next_tag = 1
        self._channel = self.connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)

    def on_tick(self) -> None:
        self._check_channel()
        oldest = next((batch for batch in self._batches if batch.unconfirmed), None)
        if oldest is None or self._is_blocked:
            return
        if time.monotonic() - oldest.sent_at > _CONFIRM_TIMEOUT_S:
            count = len(oldest.unconfirmed)
            raise ConnectionError(f"{count} results not confirmed for {_CONFIRM_TIMEOUT_S:g} s")

    def on_frames_handled(self) -> None:
        self._declare_missing_queues()

    def on_channel_error(self, error: ChannelError) -> None:
        """Give up the connection with its channel. The error may tell how large a message may be."""
        if isinstance(error, PreconditionFailed):
            refusal = _TOO_LARGE.search(str(error.reply_text))
            if refusal is not None:
                self.max_bytes = int(refusal[1])
                log.error(
                    "the broker has refused a result for its size: larger ones are cut down, or fail",
                    most_bytes=self.max_bytes,
                )
        raise error

    def on_lost(self) -> None:
        self._channel = None
        self._is_blocked = False
        batches, self._batches = self._batches, deque()
        for batch in batches:
            if batch.unconfirmed:
                batch.fail("the connection was lost")

    def _check_channel(self) -> None:
        if not self._channel.is_open:
            raise ConnectionError("the channel was closed while the worker waited for another answer")

    def _declare_missing_queues(self) -> None:
        """Declare the queues whose results were returned. More may be returned meanwhile."""
        while self._missing_queues:
            queue = self._missing_queues.pop()
            try:
                self._topology.declare_reply_queue(self.connection, queue)
            except AMQPError as error:
                log.error("reply queue not declared", queue=queue, error=str(error))

    def _publish(self, batch: PublishBatch) -> None:
        batch.start(self._next_tag)
        if self._channel is None:
            batch.fail("there is no connection to the broker")
            return
        # Registered before it is sent: its first confirms arrive before its last message is sent.
        self._batches.append(batch)
        self._next_tag += len(batch.messages)
        try:
            self._check_channel()
            # This may be the second attempt for a queue whose result was returned while the thread waited
            # for another answer.
            self._declare_missing_queues()
            for frames in encode_chunks(self._channel.channel_id, batch.messages, self.connection.frame_max):
                self.frames.write(frames)
                # RabbitMQ may stop reading if its confirms are not read.
                self.handle_received_frames()
        except Exception:
            # Without its channel the connection is useless, and is given up.
            self._channel = None
            raise

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for batch, tags in self._find_confirmed(tag, multiple):
            batch.confirm(tags)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for batch, tags in self._find_confirmed(tag, multiple):
            batch.refuse(tags)

    def _on_return(self, _error: Exception, _exchange: str, queue: str, message: Any) -> None:
        message_id = message.properties.get("message_id")
        matches = (batch.match_return(queue, message_id) for batch in self._batches)
        returned = next((match for match in matches if match is not None), None)
        if returned is None or queue in self._missing_queues or not returned.may_declare:
            return
        self._missing_queues.add(queue)
        if queue == REPLIES:
            log.error("no such reply queue: nothing is acknowledged until it is there", queue=queue)
        else:
            log.error("no such reply queue: it is declared", queue=queue)

    def _find_confirmed(self, tag: int, multiple: bool) -> list[tuple[PublishBatch, set[int]]]:
        """Return the batches that a confirm covers, each with its delivery tags."""
        while self._batches and not self._batches[0].unconfirmed:
            self._batches.popleft()
        found = []
        for batch in self._batches:
            if batch.first_tag > tag:
                break
            if tags := batch.unconfirmed_up_to(tag) if multiple else batch.unconfirmed & {tag}:
                found.append((batch, tags))
        return found

    def _on_blocked(self, reason: str) -> None:
        self._is_blocked = True
        log.error("the broker takes no results: it is short of memory or disk", reason=reason)

    def _on_unblocked(self) -> None:
        self._is_blocked = False
        log.info("the broker takes results again")
