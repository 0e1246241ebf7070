"""Publishing results: persistent, mandatory, confirmed, many on their way at once."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from amqp.exceptions import AMQPError

from worker.brokers.amqp.link import Link
from worker.brokers.amqp.outgoing import Outgoing, chunks
from worker.brokers.amqp.topology import Topology
from worker.telemetry import get_logger

_PATIENCE_S = 30.0

log = get_logger("rabbitmq")


@dataclass(slots=True, eq=False)
class _Batch:
    """What was published together, as consecutive numbers of the channel from `first` on.

    `left` are those that are not confirmed, none below `low`; `failed`: the positions of what was not taken,
    with why; `returned`: why no queue has taken it, by its number.
    """

    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[dict[int, str]]"
    messages: Sequence[Outgoing]
    first: int = 0
    low: int = 0
    at: float = 0.0
    left: set[int] = field(default_factory=set)
    failed: dict[int, str] = field(default_factory=dict)
    returned: dict[int, str] = field(default_factory=dict)
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
            self.failed[position] = f"the queue {self.messages[position].queue} refuses it"
        self.resolve(numbers)

    def fail(self, reason: str) -> None:
        """None of those that are left is confirmed any more."""
        self.failed.update((number - self.first, reason) for number in self.left)
        self.resolve(self.left)

    def resolve(self, numbers: set[int]) -> None:
        """They are confirmed. What has come back was not taken all the same."""
        if self.returned:
            back = numbers & self.returned.keys()
            self.failed.update((number - self.first, self.returned[number]) for number in back)
        self.left -= numbers
        if not self.left:
            self.loop.call_soon_threadsafe(self._finish)

    def take_back(self, queue: str, name: str) -> bool:
        """A message of this name came back; whether it is one of these."""
        if not self._by_name:
            for number, message in enumerate(self.messages, start=self.first):
                self._by_name.setdefault((message.queue, message.name), deque()).append(number)
        numbers = self._by_name.get((queue, name))
        # The return of a message comes before its confirmation.
        while numbers:
            number = numbers.popleft()
            if number in self.left:
                self.returned[number] = f"no queue {queue}"
                return True
        return False

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self.failed)


class Publisher(Link):
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

    async def publish(self, messages: Sequence[Outgoing]) -> dict[int, str]:
        """Publish; the positions of those that no queue has taken, with the reason. Any loop may ask."""
        if not messages:
            return {}
        loop = asyncio.get_running_loop()
        batch = _Batch(loop, loop.create_future(), messages)
        self.submit(lambda: self._publish(batch))
        return await batch.done

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
        if any(batch.take_back(queue, name) for batch in self._sent) and queue not in self._missing:
            self._missing.add(queue)
            log.error("no such reply queue: nothing is acknowledged until it is there", queue=queue)

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
