"""Publishing results: persistent, mandatory, confirmed, many on their way at once."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple

from amqp.exceptions import AMQPError, ChannelError, PreconditionFailed

from numbergroup.brokers.amqp.connection_thread import ConnectionThread
from numbergroup.brokers.amqp.outgoing import Outgoing, chunks
from numbergroup.brokers.amqp.topology import Topology, is_there
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import REPLIES

_PATIENCE_S = 30.0
_MOST_BYTES = 512 * 1024 * 1024
"""What no RabbitMQ can be set to exceed: https://www.rabbitmq.com/docs/configure, max_message_size"""
_TOO_LARGE = re.compile(r"message size \d+ .* (\d+)$")
_SURE_BYTES = 4_096

log = get_logger("rabbitmq")


class Cause(Enum):
    """Why a message was not taken."""

    MISSING = auto()
    """Its queue does not exist."""
    REFUSED = auto()
    """Its queue is full, or has failed."""
    LOST = auto()
    """There was no connection to say so."""


class Untaken(NamedTuple):
    """A message that no queue has taken."""

    cause: Cause
    reason: str


@dataclass(slots=True, eq=False)
class _Batch:
    """What was published together, as consecutive numbers of the channel from `first` on.

    `left` are those that are not confirmed, none below `low`; `failed`: the positions of what was not taken,
    with why; `returned`: the numbers of what has come back, for want of a queue.
    """

    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[dict[int, Untaken]]"
    messages: Sequence[Outgoing]
    first: int = 0
    low: int = 0
    at: float = 0.0
    left: set[int] = field(default_factory=set)
    failed: dict[int, Untaken] = field(default_factory=dict)
    returned: set[int] = field(default_factory=set)
    _by_name: dict[tuple[str, str], deque[int]] = field(default_factory=dict)

    def begin(self, first: int) -> None:
        self.first = self.low = first
        self.at = time.monotonic()
        self.left = set(range(first, first + len(self.messages)))

    def upto(self, number: int) -> set[int]:
        """Those that are left, up to this number."""
        if number >= self.first + len(self.messages) - 1:
            return self.left
        found = self.left.intersection(range(self.low, number + 1))
        self.low = number + 1
        return found

    def refuse(self, numbers: set[int]) -> None:
        """Their queues do not take them."""
        for number in numbers:
            position = number - self.first
            reason = f"the queue {self.messages[position].queue} refuses it"
            self.failed[position] = Untaken(Cause.REFUSED, reason)
        self.resolve(numbers)

    def fail(self, reason: str) -> None:
        """None of those that are left is confirmed any more."""
        self.failed.update((number - self.first, Untaken(Cause.LOST, reason)) for number in self.left)
        self.resolve(self.left)

    def resolve(self, numbers: set[int]) -> None:
        """They are confirmed. What has come back was not taken all the same."""
        if self.returned:
            for position in (number - self.first for number in numbers & self.returned):
                reason = f"no queue {self.messages[position].queue}"
                self.failed[position] = Untaken(Cause.MISSING, reason)
        self.left -= numbers
        if not self.left:
            self.loop.call_soon_threadsafe(self._finish)

    def take_back(self, queue: str, name: str) -> Outgoing | None:
        """A message of this name came back; which of these it is."""
        if not self._by_name:
            for number, message in enumerate(self.messages, start=self.first):
                self._by_name.setdefault((message.queue, message.name), deque()).append(number)
        numbers = self._by_name.get((queue, name))
        # The return of a message comes before its confirmation.
        while numbers:
            number = numbers.popleft()
            if number in self.left:
                self.returned.add(number)
                return self.messages[number - self.first]
        return None

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self.failed)


class Publisher(ConnectionThread):
    """The publishing connection: apart from the consuming one, for a broker that is short of memory or
    disk stops reading from it."""

    def __init__(self, url: str, heartbeat_s: int, topology: Topology) -> None:
        super().__init__(url, "numbergroup publishing", heartbeat_s)
        self._topology = topology
        self._channel: Any = None
        self._sent: deque[_Batch] = deque()
        self._next = 1
        self._missing: set[str] = set()
        self._blocked = False
        self.most_bytes = _MOST_BYTES
        """No larger message is taken, as far as the broker has said; it says so by closing the channel, and
        what else was on its way there may come twice then."""
        self.sure_bytes = _SURE_BYTES
        """Up to this size messages were taken before."""

    async def publish(self, messages: Sequence[Outgoing]) -> dict[int, Untaken]:
        """Publish; the positions of those that no queue has taken, with the reason. Any loop may ask."""
        if not messages:
            return {}
        loop = asyncio.get_running_loop()
        batch = _Batch(loop, loop.create_future(), messages)
        self.submit(lambda: self._publish(batch))
        failed = await batch.done
        if not failed:
            self.sure_bytes = max(self.sure_bytes, *(len(message.body) for message in messages))
        return failed

    async def absent(self, queues: Iterable[str]) -> set[str]:
        """Those that do not exist; none of them while there is no connection. Any loop may ask."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[set[str]] = loop.create_future()

        def tell(absent: set[str]) -> None:
            if not found.done():
                found.set_result(absent)

        def job() -> None:
            absent: set[str] = set()
            try:
                if self.connection is not None:
                    absent = {queue for queue in queues if not is_there(self.connection, queue)}
            finally:
                loop.call_soon_threadsafe(tell, absent)

        self.submit(job)
        return await found

    def on_open(self) -> None:
        self.connection.on_blocked = self._on_blocked
        self.connection.on_unblocked = self._on_unblocked
        self._open_channel()

    def on_beat(self) -> None:
        if not self._channel.is_open:
            raise ConnectionError("the channel was closed while something else was asked")
        oldest = next((batch for batch in self._sent if batch.left), None)
        if oldest is not None and not self._blocked and time.monotonic() - oldest.at > _PATIENCE_S:
            raise ConnectionError(f"{len(oldest.left)} results not confirmed for {_PATIENCE_S:g} s")

    def on_drained(self) -> None:
        self._declare_missing()

    def _declare_missing(self) -> None:
        """Declare the queues for want of which results came back. More may come back meanwhile."""
        while self._missing:
            queue = self._missing.pop()
            try:
                self._topology.declare_replies(self.connection, queue)
            except AMQPError as error:
                log.error("reply queue not declared", queue=queue, error=str(error))

    def on_channel_error(self, error: ChannelError) -> None:
        """A closed channel is as good as a lost connection. The broker may have told how much it takes."""
        told = isinstance(error, PreconditionFailed) and _TOO_LARGE.search(str(error.reply_text))
        if told:
            self.most_bytes = int(told[1])
            log.error(
                "the broker has refused a result for its size: larger ones are cut down, or fail",
                most_bytes=self.most_bytes,
            )
        raise error

    def on_lost(self) -> None:
        self._channel = None
        self._blocked = False
        self._fail_all("the connection was lost")

    def _open_channel(self) -> None:
        self._next = 1
        self._channel = self.connection.channel()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)

    def _publish(self, batch: _Batch) -> None:
        batch.begin(self._next)
        if self._channel is None:
            batch.fail("there is no connection to the broker")
            return
        # Taken down before it is sent: its first confirmations come before the last of it is.
        self._sent.append(batch)
        self._next += len(batch.messages)
        try:
            if not self._channel.is_open:
                raise ConnectionError("the channel was closed while something else was asked")
            # Something may have come back while another answer was awaited, and this may be its next try.
            self._declare_missing()
            for frames in chunks(self._channel.channel_id, batch.messages, self.connection.frame_max):
                self.wire.write(frames)
                # A broker whose answers nobody reads may read no more itself.
                self.take_in()
        except Exception:
            # A closed channel is as good as a lost connection.
            self._channel = None
            raise

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for batch, numbers in self._confirmed(tag, multiple):
            batch.resolve(numbers)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for batch, numbers in self._confirmed(tag, multiple):
            batch.refuse(numbers)

    def _on_return(self, _error: Exception, _exchange: str, queue: str, message: Any) -> None:
        name = message.properties.get("message_id")
        back = (found for batch in self._sent if (found := batch.take_back(queue, name)) is not None)
        returned = next(back, None)
        if returned is None or queue in self._missing or not returned.declare:
            return
        self._missing.add(queue)
        if queue == REPLIES:
            log.error("no such reply queue: nothing is acknowledged until it is there", queue=queue)
        else:
            log.error("no such reply queue: it is declared", queue=queue)

    def _confirmed(self, tag: int, multiple: bool) -> list[tuple[_Batch, set[int]]]:
        found = []
        while self._sent and not self._sent[0].left:
            self._sent.popleft()
        for batch in self._sent:
            if batch.first > tag:
                break
            if numbers := batch.upto(tag) if multiple else batch.left & {tag}:
                found.append((batch, numbers))
        return found

    def _fail_all(self, reason: str) -> None:
        failed, self._sent = self._sent, deque()
        for batch in failed:
            if batch.left:
                batch.fail(reason)

    def _on_blocked(self, reason: str) -> None:
        self._blocked = True
        log.error("the broker takes no results: it is short of memory or disk", reason=reason)

    def _on_unblocked(self) -> None:
        self._blocked = False
        log.info("the broker takes results again")
