"""Publishing results: persistent, mandatory, confirmed, many on their way at once."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import amqp
from amqp.exceptions import AMQPError

from worker.brokers.amqp.link import Link
from worker.brokers.amqp.topology import Topology
from worker.telemetry import get_logger

_PATIENCE_S = 30.0

log = get_logger("rabbitmq")


@dataclass(slots=True, frozen=True)
class Outgoing:
    queue: str
    body: bytes
    correlation_id: str | None = None


@dataclass(slots=True, eq=False)
class _Job:
    """`failed`: the positions of what was not taken, with why."""

    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[dict[int, str]]"
    left: int
    failed: dict[int, str] = field(default_factory=dict)

    def resolve(self, position: int, reason: str | None) -> None:
        if reason is not None:
            self.failed[position] = reason
        self.left -= 1
        if not self.left:
            self.loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self.failed)


@dataclass(slots=True, eq=False)
class _Sent:
    job: _Job
    position: int
    key: tuple[str, str]
    at: float
    returned: str | None = None


class Publisher(Link):
    """The publishing connection: apart from the consuming one, for a broker that is short of memory or
    disk stops reading from it."""

    def __init__(self, url: str, heartbeat_s: int, topology: Topology) -> None:
        super().__init__(url, "numbergroup publishing", heartbeat_s)
        self._topology = topology
        self._channel: Any = None
        self._sent: dict[int, _Sent] = {}
        self._serial = 0
        self._missing: set[str] = set()
        self._blocked = False

    async def publish(self, messages: Sequence[Outgoing]) -> dict[int, str]:
        """Publish; the positions of those that no queue has taken, with the reason. Any loop may ask."""
        if not messages:
            return {}
        loop = asyncio.get_running_loop()
        job = _Job(loop, loop.create_future(), len(messages))
        self.submit(lambda: self._publish(job, messages))
        return await job.done

    def on_open(self) -> None:
        self.connection.on_blocked = self._on_blocked
        self.connection.on_unblocked = self._on_unblocked
        self._open_channel()

    def on_beat(self) -> None:
        if not self._channel.is_open:
            raise ConnectionError("the channel was closed while something else was asked")
        if self._sent and not self._blocked:
            oldest = next(iter(self._sent.values()))
            if time.monotonic() - oldest.at > _PATIENCE_S:
                raise ConnectionError(f"{len(self._sent)} results not confirmed for {_PATIENCE_S:g} s")

    def on_drained(self) -> None:
        missing, self._missing = self._missing, set()
        for queue in missing:
            try:
                self._topology.declare_replies(self.connection, queue)
            except AMQPError as error:
                log.error("reply queue not declared", queue=queue, error=str(error))

    def on_lost(self) -> None:
        self._channel = None
        self._blocked = False
        self._fail_all("the connection was lost")

    def _open_channel(self) -> None:
        self._serial = 0
        self._channel = self.connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)

    def _publish(self, job: _Job, messages: Sequence[Outgoing]) -> None:
        trouble: Exception | None = None
        for position, message in enumerate(messages):
            if self._channel is None:
                job.resolve(position, "there is no connection to the broker")
                continue
            try:
                self._send(job, position, message)
            except Exception as error:
                # Whatever it is, all who wait are told. A closed channel is as good as a lost connection.
                self._channel, trouble = None, error
        if trouble is not None:
            raise trouble

    def _send(self, job: _Job, position: int, message: Outgoing) -> None:
        name = blake2b(message.body, digest_size=16).hexdigest()
        more = {} if message.correlation_id is None else {"correlation_id": message.correlation_id}
        content = amqp.Message(
            message.body,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            message_id=name,
            **more,
        )
        # Taken down before it is sent: sending reads what has come in, and its confirmation may be there.
        self._serial += 1
        self._sent[self._serial] = _Sent(job, position, (message.queue, name), time.monotonic())
        self._channel.basic_publish(content, "", message.queue, mandatory=True)

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for sent in self._confirmed(tag, multiple):
            sent.job.resolve(sent.position, sent.returned)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for sent in self._confirmed(tag, multiple):
            sent.job.resolve(sent.position, sent.returned or f"the queue {sent.key[0]} refuses it")

    def _on_return(self, _error: Exception, _exchange: str, queue: str, message: Any) -> None:
        # The return of a message comes before its confirmation.
        key = (queue, message.properties.get("message_id"))
        for sent in self._sent.values():
            if sent.key == key and sent.returned is None:
                sent.returned = f"no queue {queue}"
                if queue not in self._missing:
                    self._missing.add(queue)
                    log.error("no such reply queue: nothing is acknowledged until it is there", queue=queue)
                return

    def _confirmed(self, tag: int, multiple: bool) -> list[_Sent]:
        if not multiple:
            sent = self._sent.pop(tag, None)
            return [] if sent is None else [sent]
        found = []
        while self._sent and (serial := next(iter(self._sent))) <= tag:
            found.append(self._sent.pop(serial))
        return found

    def _fail_all(self, reason: str) -> None:
        failed, self._sent = self._sent, {}
        for sent in failed.values():
            sent.job.resolve(sent.position, reason)

    def _on_blocked(self, reason: str) -> None:
        self._blocked = True
        log.error("the broker takes no results: it is short of memory or disk", reason=reason)

    def _on_unblocked(self) -> None:
        self._blocked = False
        log.info("the broker takes results again")
