"""Results that a queue does not take at once: what is tried again, in which order, what goes elsewhere."""

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


class Broker:
    """A publisher whose broker answers each message with `answer`; `taken` are those that it took."""

    max_bytes = 1_000_000

    def __init__(self, answer: Answering, accepted_bytes: int = 4_096) -> None:
        self.answer = answer
        self.accepted_bytes = accepted_bytes
        self.taken: list[tuple[str, bytes]] = []

    async def publish(self, messages: Sequence[Outgoing]) -> dict[int, PublishFailure]:
        found = {}
        for position, message in enumerate(messages):
            cause = self.answer(message)
            if cause is None:
                self.taken.append((message.queue, message.body))
            else:
                found[position] = PublishFailure(cause, "a reason")
        return found


def results(broker: Broker) -> ResultSender:
    found: Any = broker
    return ResultSender(found)


def body(name: str) -> bytes:
    return orjson.dumps({"id": name, "data": {"status": "applied"}})


async def sent(sender: ResultSender, *replies: Reply) -> int:
    """Send them until all are taken; how often that was tried."""
    left = [*replies]
    for tries in range(1, 10):
        try:
            await sender.send(left)
        except BrokerUnavailable:
            continue
        return tries
    pytest.fail("not taken after nine tries")


def is_fine(published: tuple[str, bytes]) -> bool:
    return b"reply-queue" not in published[1]


def once(cause: FailureCause) -> Answering:
    """Each message fails once, at its first try."""
    seen: set[Outgoing] = set()

    def answer(message: Outgoing) -> FailureCause | None:
        if message in seen:
            return None
        seen.add(message)
        return cause

    return answer


async def test_a_client_of_the_same_name_spoils_no_queue() -> None:
    """A queue that clients asked for in vain, and that was never declared for them, is tried twice for an
    event's `replyto`: it is declared in between."""
    broker = Broker(lambda message: FailureCause.MISSING if message.queue == QUEUE else None)
    sender = results(broker)
    for _ in range(3):
        await sent(sender, Reply(QUEUE, body("a"), entry=Entry(0, "t", b"", reply_to=QUEUE)))
    assert [queue for queue, _ in broker.taken] == [REPLIES] * 3
    broker.answer = once(FailureCause.MISSING)
    assert await sent(sender, Reply(QUEUE, body("b"))) == 2
    assert broker.taken[-1] == (QUEUE, body("b"))


async def test_a_full_queue_that_is_deleted() -> None:
    """A queue that refused, and then is missing, is declared, and has its second try as any other."""
    broker = Broker(lambda message: FailureCause.REFUSED if message.queue == QUEUE else None)
    sender = results(broker)
    assert await sent(sender, Reply(QUEUE, body("a"))) == 5
    assert not is_fine(broker.taken[-1])
    broker.answer = once(FailureCause.MISSING)
    assert await sent(sender, Reply(QUEUE, body("b"))) == 2
    assert broker.taken[-1] == (QUEUE, body("b"))


async def test_the_order_over_a_lost_connection() -> None:
    """What is lost goes before what comes after it, also where there is a connection again at once."""
    bodies = [body(name) for name in ("a" * 100, "b" * 100, "c" * 100)]
    lost = [FailureCause.LOST]
    broker = Broker(lambda _: lost.pop() if lost else None, accepted_bytes=10)
    await sent(results(broker), *(Reply(None, one) for one in bodies))
    assert broker.taken == [(REPLIES, one) for one in bodies]
