"""Tracks the publisher confirms of messages that were published together."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from numbergroup.brokers.amqp.outgoing import Outgoing


class FailureCause(Enum):
    """Why a message was not published."""

    MISSING = auto()
    """Its queue does not exist."""
    REFUSED = auto()
    """Its queue is full, or has failed."""
    LOST = auto()
    """There was no connection, or it was lost before the confirm."""


class PublishFailure(NamedTuple):
    """Why no queue has the message."""

    cause: FailureCause
    reason: str


@dataclass(slots=True, eq=False)
class PublishBatch:
    """Messages that were published together, with consecutive delivery tags of the channel.

    - `done`: set when all messages are confirmed or have failed. Its result: the failures, by position.
    - `first_tag`: the delivery tag of the first message.
    - `low_tag`: no lower tag is unconfirmed.
    - `sent_at`: monotonic time.
    - `unconfirmed`: the delivery tags without a confirm.
    - `returned`: the delivery tags of messages that were returned because they have no queue.
    """

    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[dict[int, PublishFailure]]"
    messages: Sequence[Outgoing]
    first_tag: int = 0
    low_tag: int = 0
    sent_at: float = 0.0
    unconfirmed: set[int] = field(default_factory=set)
    returned: set[int] = field(default_factory=set)
    _failures: dict[int, PublishFailure] = field(default_factory=dict)
    _tags_by_id: dict[tuple[str, str], deque[int]] = field(default_factory=dict)

    def start(self, first_tag: int) -> None:
        """Assign delivery tags, right before the messages are sent."""
        self.first_tag = self.low_tag = first_tag
        self.sent_at = time.monotonic()
        self.unconfirmed = set(range(first_tag, first_tag + len(self.messages)))

    def unconfirmed_up_to(self, tag: int) -> set[int]:
        """Return the unconfirmed delivery tags up to this one, which a confirm with `multiple` covers."""
        if tag >= self.first_tag + len(self.messages) - 1:
            return self.unconfirmed
        tags = self.unconfirmed.intersection(range(self.low_tag, tag + 1))
        self.low_tag = tag + 1
        return tags

    def confirm(self, tags: set[int]) -> None:
        """Note that RabbitMQ confirmed these. It also confirms messages that it has returned."""
        if self.returned:
            for tag in tags & self.returned:
                position = tag - self.first_tag
                self._failures[position] = PublishFailure(
                    FailureCause.MISSING, f"no queue {self.messages[position].queue}"
                )
        self.unconfirmed -= tags
        if not self.unconfirmed:
            self.loop.call_soon_threadsafe(self._finish)

    def refuse(self, tags: set[int]) -> None:
        """Note that the queues of these refused them."""
        for tag in tags:
            position = tag - self.first_tag
            self._failures[position] = PublishFailure(
                FailureCause.REFUSED, f"the queue {self.messages[position].queue} refuses it"
            )
        self.confirm(tags)

    def fail(self, reason: str) -> None:
        """Note that the unconfirmed messages will not be confirmed any more."""
        failure = PublishFailure(FailureCause.LOST, reason)
        self._failures.update((tag - self.first_tag, failure) for tag in self.unconfirmed)
        self.confirm(self.unconfirmed)

    def match_return(self, queue: str, message_id: str) -> Outgoing | None:
        """Return the message that RabbitMQ has returned; `None` if it is not of this batch."""
        if not self._tags_by_id:
            for tag, message in enumerate(self.messages, start=self.first_tag):
                self._tags_by_id.setdefault((message.queue, message.message_id), deque()).append(tag)
        tags = self._tags_by_id.get((queue, message_id))
        # A message is returned before it is confirmed.
        while tags:
            tag = tags.popleft()
            if tag in self.unconfirmed:
                self.returned.add(tag)
                return self.messages[tag - self.first_tag]
        return None

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self._failures)
