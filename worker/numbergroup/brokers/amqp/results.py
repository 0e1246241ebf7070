"""Results, each to the queue that it names; where that cannot be, to the default one, with an `error`.

Whoever waits for an answer may have gone, and its queue with it: that must not hold up a partition. Only for
the default queue is waited without end.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from numbergroup.brokers.amqp.outgoing import DIRECT_REPLY_TO, Outgoing
from numbergroup.brokers.amqp.publishing import Cause, Publisher, Untaken
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.engine.settling.dead_letters import DeadLetterRecord
from numbergroup.engine.settling.fitting import fit_replies, to_default_queue
from numbergroup.engine.settling.settlement import Reply
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import REPLIES

_SHORT_BYTES = 255
_RESERVED = "amq."
_TRIES = {Cause.MISSING: 2, Cause.REFUSED: 5}
_MOST_REMEMBERED = 10_000

log = get_logger("rabbitmq")


class _Address(NamedTuple):
    """Where a reply goes. A queue that may be declared is another address than one of the same name that may
    not: the first is there at the second try, the other one is not."""

    queue: str
    declare: bool


class _Failures(NamedTuple):
    """How often in a row an address has failed for the same cause."""

    cause: Cause
    tries: int


class Results:
    """Those of one partition. `left` are the replies that no queue has taken yet."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._failures: dict[_Address, _Failures] = {}

    def fit_replies(self, replies: Sequence[Reply]) -> tuple[list[Reply], list[DeadLetterRecord]]:
        """The replies, none larger than what the broker is known to take; and the letters that are due since
        some have failed over it."""
        fitted = fit_replies(replies, self._publisher.most_bytes)
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

    async def send(self, replies: Sequence[Reply], left: list[Reply]) -> None:
        """Return when all of them are confirmed, in the queues that they name or in the default one.

        Raises `BrokerUnavailable` when some are to be sent again: those are in `left` then. A queue that is
        missing is declared if it is the worker's to declare, and tried once more; one that refuses is tried
        some more times.
        """
        count = len(replies)
        left[:] = replies
        while left:
            trying = await self._without_absent_clients([*left])
            left.clear()
            failed: list[Untaken] = []
            waits = is_lost = False
            for run in self._runs(trying):
                if is_lost:
                    # There may be a connection again, and what was lost comes before these.
                    left.extend(run)
                    continue
                found = await self._publisher.publish([_outgoing(reply) for reply in run])
                final = self._counted(run, found)
                for position in sorted(found):
                    reply, untaken = run[position], found[position]
                    is_lost = is_lost or untaken.cause is Cause.LOST
                    if _address(reply) in final:
                        left.append(to_default_queue(reply, untaken.reason))
                    else:
                        left.append(reply)
                        waits = True
                    failed.append(untaken)
            if waits:
                reason = f"{len(failed)} of {count} results not taken: {failed[0].reason}"
                raise BrokerUnavailable(reason)

    def _runs(self, replies: Sequence[Reply]) -> Iterator[Sequence[Reply]]:
        """In order; one that is larger than all that were taken before goes alone: if it is refused, the
        channel is closed, and others would be sent twice."""
        start = 0
        for position, reply in enumerate(replies):
            if len(reply.body) > self._publisher.sure_bytes:
                if start < position:
                    yield replies[start:position]
                yield replies[position : position + 1]
                start = position + 1
        if start < len(replies):
            yield replies[start:]

    def _counted(self, run: Sequence[Reply], found: dict[int, Untaken]) -> set[_Address]:
        """Count which addresses have failed; those for which nothing more is tried."""
        if not found and not self._failures:
            return set()
        failed = {_address(run[position]): untaken.cause for position, untaken in found.items()}
        for address in {_address(reply) for reply in run} - failed.keys():
            self._failures.pop(address, None)
        final: set[_Address] = set()
        for address, cause in failed.items():
            if address.queue == REPLIES or cause is Cause.LOST:
                continue
            if len(self._failures) >= _MOST_REMEMBERED:
                self._failures.clear()
            before = self._failures.get(address)
            tries = before.tries + 1 if before is not None and before.cause is cause else 1
            self._failures[address] = _Failures(cause, tries)
            if tries < _TRIES[cause]:
                continue
            final.add(address)
            if tries == _TRIES[cause]:
                log.error(
                    "a reply queue takes nothing: its results go to the default one", queue=address.queue
                )
        return final

    async def _without_absent_clients(self, replies: Sequence[Reply]) -> Sequence[Reply]:
        """A client that waits without a queue is asked for before: nothing comes back from its address."""
        addresses = {reply.queue for reply in replies if (reply.queue or "").startswith(DIRECT_REPLY_TO)}
        if not addresses:
            return replies
        absent = await self._publisher.absent([address for address in addresses if address is not None])
        return [
            to_default_queue(reply, "the client has gone") if reply.queue in absent else reply
            for reply in replies
        ]


def _address(reply: Reply) -> _Address:
    queue = short(reply.queue) or REPLIES
    # A client's queue ends with the client, and may be declared by it alone.
    return _Address(queue, not reply.is_to_client and not queue.startswith(_RESERVED))


def _outgoing(reply: Reply) -> Outgoing:
    queue, declare = _address(reply)
    return Outgoing(queue, reply.body, short(reply.correlation_id), declare)


def short(text: str | None) -> str | None:
    """The text if AMQP can say it: 255 bytes at most. A result's own attributes have what it cannot."""
    return text if text is not None and len(text.encode(errors="replace")) <= _SHORT_BYTES else None
