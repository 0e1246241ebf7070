"""Sends each result to its reply queue; if that is impossible, to the default one with an `error`.

A client may be gone, and its queue with it: that must not block a partition. Only for the default queue does
the partition wait without limit.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from numbergroup.brokers.amqp.outgoing import DIRECT_REPLY_TO, Outgoing
from numbergroup.brokers.amqp.publish_batch import FailureCause, PublishFailure
from numbergroup.brokers.amqp.publishing import Publisher
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.engine.settling.dead_letters import DeadLetterRecord
from numbergroup.engine.settling.fitting import fit_replies, to_default_queue
from numbergroup.engine.settling.settlement import Reply
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import REPLIES

_SHORT_STRING_BYTES = 255
_RESERVED = "amq."
_MAX_ATTEMPTS = {FailureCause.MISSING: 2, FailureCause.REFUSED: 5}
_MAX_REMEMBERED = 10_000

log = get_logger("rabbitmq")


class _Address(NamedTuple):
    """Where a reply goes.

    A queue that may be declared is a different address from a queue of the same name that must not be: at the
    second attempt the first exists, the other does not.
    """

    queue: str
    may_declare: bool


class _Failures(NamedTuple):
    """How many attempts in a row have failed at an address for the same cause."""

    cause: FailureCause
    attempts: int


class ResultSender:
    """Sends the results of one partition."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._failures: dict[_Address, _Failures] = {}

    def fit_replies(self, replies: Sequence[Reply]) -> tuple[list[Reply], list[DeadLetterRecord]]:
        """Return the replies, none larger than the broker accepts, and dead letters of those that failed."""
        fitted = fit_replies(replies, self._publisher.max_bytes)
        if fitted.dead_letters:
            log.error(
                "lists have failed: they are larger than what the broker takes",
                count=len(fitted.dead_letters),
            )
        if fitted.dropped:
            log.error(
                "not even a short result is small enough for the broker: none is sent", ids=fitted.dropped
            )
        return fitted.replies, fitted.dead_letters

    async def send(self, unsent: list[Reply]) -> None:
        """Send the replies, and remove from `unsent` those that are confirmed.

        Returns when all are confirmed in their own queue or the default one. Raises `BrokerUnavailable` if
        some must be sent again. A missing queue is declared if the worker may do so, and gets a second
        attempt; a queue that refuses gets some more attempts.
        """
        count = len(unsent)
        while unsent:
            replies = await self._redirect_missing_clients([*unsent])
            unsent.clear()
            failures: list[PublishFailure] = []
            must_wait = is_lost = False
            for part in self._split(replies):
                if is_lost:
                    # The connection may be back, but the lost replies come before these.
                    unsent.extend(part)
                    continue
                failed = await self._publisher.publish([_build_message(reply) for reply in part])
                given_up = self._count_failures(part, failed)
                for position in sorted(failed):
                    reply, failure = part[position], failed[position]
                    is_lost = is_lost or failure.cause is FailureCause.LOST
                    if _address_of(reply) in given_up:
                        unsent.append(to_default_queue(reply, failure.reason))
                    else:
                        unsent.append(reply)
                        must_wait = True
                    failures.append(failure)
            if must_wait:
                reason = f"{len(failures)} of {count} results not taken: {failures[0].reason}"
                raise BrokerUnavailable(reason)

    def _split(self, replies: Sequence[Reply]) -> Iterator[Sequence[Reply]]:
        """Yield the replies in order; one that is larger than all accepted ones is published alone.

        If RabbitMQ refuses it, the channel is closed, and others would be published twice.
        """
        start = 0
        for position, reply in enumerate(replies):
            if len(reply.body) > self._publisher.accepted_bytes:
                if start < position:
                    yield replies[start:position]
                yield replies[position : position + 1]
                start = position + 1
        if start < len(replies):
            yield replies[start:]

    def _count_failures(self, replies: Sequence[Reply], failed: dict[int, PublishFailure]) -> set[_Address]:
        """Count the failed attempts for each reply queue; return the queues that get no further attempt."""
        if not failed and not self._failures:
            return set()
        causes = {_address_of(replies[position]): failure.cause for position, failure in failed.items()}
        for address in {_address_of(reply) for reply in replies} - causes.keys():
            self._failures.pop(address, None)
        given_up: set[_Address] = set()
        for address, cause in causes.items():
            if address.queue == REPLIES or cause is FailureCause.LOST:
                continue
            if len(self._failures) >= _MAX_REMEMBERED:
                self._failures.clear()
            before = self._failures.get(address)
            attempts = before.attempts + 1 if before is not None and before.cause is cause else 1
            self._failures[address] = _Failures(cause, attempts)
            if attempts < _MAX_ATTEMPTS[cause]:
                continue
            given_up.add(address)
            if attempts == _MAX_ATTEMPTS[cause]:
                log.error(
                    "a reply queue takes nothing: its results go to the default one", queue=address.queue
                )
        return given_up

    async def _redirect_missing_clients(self, replies: Sequence[Reply]) -> Sequence[Reply]:
        """Redirect the replies to direct reply-to clients that are gone.

        Their existence is checked beforehand, because RabbitMQ returns nothing from their addresses.
        """
        addresses = {
            reply.queue
            for reply in replies
            if reply.queue is not None and reply.queue.startswith(DIRECT_REPLY_TO)
        }
        if not addresses:
            return replies
        missing = await self._publisher.find_missing(addresses)
        return [
            to_default_queue(reply, "the client has gone") if reply.queue in missing else reply
            for reply in replies
        ]


def _address_of(reply: Reply) -> _Address:
    queue = _limit_short_string(reply.queue) or REPLIES
    # A client's queue ends with the client, and only the client may declare it.
    return _Address(queue, not reply.is_to_client and not queue.startswith(_RESERVED))


def _build_message(reply: Reply) -> Outgoing:
    queue, may_declare = _address_of(reply)
    return Outgoing(
        queue,
        reply.body,
        correlation_id=_limit_short_string(reply.correlation_id),
        may_declare=may_declare,
    )


def _limit_short_string(text: str | None) -> str | None:
    """Return the text, or `None` if it is longer than AMQP's 255 bytes.

    The result's own attributes contain what is left out here.
    """
    if text is None or len(text.encode(errors="replace")) > _SHORT_STRING_BYTES:
        return None
    return text
