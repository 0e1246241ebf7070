"""Results that a queue does not accept: which are sent again, in which order, and which go elsewhere."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from numbergroup.brokers.amqp.outgoing import Outgoing
from numbergroup.brokers.amqp.publish_batch import FailureCause, PublishFailure
from numbergroup.brokers.amqp.results import ResultSender
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.engine.commands import Entry
from numbergroup.engine.settling.settlement import Reply
from numbergroup_contracts.names import REPLIES

QUEUE = "numbergroup.replies.crm"
Answering = Callable[[Outgoing], FailureCause | None]


class FakePublisher:
    """Lets `answer` decide about each message; `published` are those that were accepted."""

    max_bytes = 1_000_000

    def __init__(self, answer: Answering, accepted_bytes: int = 4_096) -> None:
        self.answer = answer
        self.accepted_bytes = accepted_bytes
        self.published: list[tuple[str, bytes]] = []

    async def publish(self, messages: Sequence[Outgoing]) -> dict[int, PublishFailure]:
        failures = {}
        for position, message in enumerate(messages):
            cause = self.answer(message)
            if cause is None:
                self.published.append((message.queue, message.body))
            else:
                failures[position] = PublishFailure(cause, "a reason")
        return failures


def sender_of(publisher: Any) -> ResultSender:
    return ResultSender(publisher)


def result(name: str) -> bytes:
    return orjson.dumps({"id": name, "data": {"status": "applied"}})


async def send_all(sender: ResultSender, *replies: Reply) -> int:
    """Send the replies until all are published; return the number of attempts."""
    unsent = [*replies]
    for attempts in range(1, 10):
        try:
            await sender.send(unsent)
        except BrokerUnavailable:
            continue
        return attempts
    pytest.fail("not published after nine attempts")


def has_no_error(published: tuple[str, bytes]) -> bool:
    return b"reply-queue" not in published[1]


def fail_once(cause: FailureCause) -> Answering:
    """Return an `answer` that fails the first attempt of each message."""
    seen: set[Outgoing] = set()

    def answer(message: Outgoing) -> FailureCause | None:
        if message in seen:
            return None
        seen.add(message)
        return cause

    return answer


async def test_failures_of_a_client_do_not_count_for_replyto() -> None:
    """A missing queue that a client named is not declared. If an event's `replyto` names it, it is declared
    before the second attempt, whatever the client's attempts were."""
    publisher = FakePublisher(lambda message: FailureCause.MISSING if message.queue == QUEUE else None)
    sender = sender_of(publisher)
    for _ in range(3):
        await send_all(sender, Reply(QUEUE, result("a"), entry=Entry(0, "t", b"", reply_to=QUEUE)))
    assert [queue for queue, _ in publisher.published] == [REPLIES] * 3
    publisher.answer = fail_once(FailureCause.MISSING)
    assert await send_all(sender, Reply(QUEUE, result("b"))) == 2
    assert publisher.published[-1] == (QUEUE, result("b"))


async def test_a_full_queue_that_is_deleted() -> None:
    """A queue that has refused, and is missing later, is declared, and gets a second attempt."""
    publisher = FakePublisher(lambda message: FailureCause.REFUSED if message.queue == QUEUE else None)
    sender = sender_of(publisher)
    assert await send_all(sender, Reply(QUEUE, result("a"))) == 5
    assert not has_no_error(publisher.published[-1])
    publisher.answer = fail_once(FailureCause.MISSING)
    assert await send_all(sender, Reply(QUEUE, result("b"))) == 2
    assert publisher.published[-1] == (QUEUE, result("b"))


async def test_the_order_over_a_lost_connection() -> None:
    """Lost results are sent before later ones, even if the connection is back at once."""
    bodies = [result(name) for name in ("a" * 100, "b" * 100, "c" * 100)]
    lost = [FailureCause.LOST]
    publisher = FakePublisher(lambda _: lost.pop() if lost else None, accepted_bytes=10)
    await send_all(sender_of(publisher), *(Reply(None, body) for body in bodies))
    assert publisher.published == [(REPLIES, body) for body in bodies]
