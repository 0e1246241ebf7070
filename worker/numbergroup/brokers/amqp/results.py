"""Results, each to the queue that it names; where that cannot be, to the default one, with an `error`.

Whoever waits for an answer may have gone, and its queue with it: that must not hold up a partition. Only for
the default queue is waited without end.
"""

from collections.abc import Iterator, Sequence

from numbergroup.brokers.amqp.outgoing import DIRECT_REPLY_TO, Outgoing
from numbergroup.brokers.amqp.publishing import Cause, Publisher, Untaken
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.engine.fitting import REPLY_QUEUE, fit, with_error
from numbergroup.engine.letters import Letter
from numbergroup.engine.model import Fault
from numbergroup.engine.settlement import Reply
from numbergroup.telemetry import get_logger
from numbergroup_contracts.names import REPLIES

_SHORT_BYTES = 255
_RESERVED = "amq."
_TRIES = {Cause.MISSING: 2, Cause.REFUSED: 5}
_MOST_REMEMBERED = 10_000

log = get_logger("rabbitmq")


class Results:
    """Those of one partition. `left` are the replies that no queue has taken yet."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._failures: dict[str, int] = {}

    def fit(self, replies: Sequence[Reply]) -> tuple[list[Reply], list[Letter]]:
        """The replies, none larger than what the broker is known to take; and the letters that are due since
        some have failed over it."""
        fitted = fit(replies, self._publisher.most_bytes)
        if fitted.letters:
            log.error(
                "lists have failed: they are larger than what the broker takes", count=len(fitted.letters)
            )
        if fitted.dropped:
            log.error(
                "not even a short result is small enough for the broker: none is sent", ids=fitted.dropped
            )
        return fitted.replies, fitted.letters

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
            waits = False
            for run in self._runs(trying):
                found = await self._publisher.publish([_outgoing(reply) for reply in run])
                final = self._counted(run, found)
                for position in sorted(found):
                    reply = run[position]
                    if _queue(reply) in final:
                        left.append(_to_default(reply, found[position].reason))
                    else:
                        left.append(reply)
                        waits = True
                failed += [found[position] for position in sorted(found)]
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

    def _counted(self, run: Sequence[Reply], found: dict[int, Untaken]) -> set[str]:
        """Count which queues have failed; those for which nothing more is tried."""
        if not found and not self._failures:
            return set()
        failed = {_queue(run[position]): untaken.cause for position, untaken in found.items()}
        for queue in {_queue(reply) for reply in run} - failed.keys():
            self._failures.pop(queue, None)
        final: set[str] = set()
        for queue, cause in failed.items():
            if queue == REPLIES or cause is Cause.LOST:
                continue
            if len(self._failures) >= _MOST_REMEMBERED:
                self._failures.clear()
            tries = self._failures[queue] = self._failures.get(queue, 0) + 1
            if tries < _TRIES[cause]:
                continue
            final.add(queue)
            if tries == _TRIES[cause]:
                log.error("a reply queue takes nothing: its results go to the default one", queue=queue)
        return final

    async def _without_absent_clients(self, replies: Sequence[Reply]) -> Sequence[Reply]:
        """A client that waits without a queue is asked for before: nothing comes back from its address."""
        addresses = {reply.queue for reply in replies if (reply.queue or "").startswith(DIRECT_REPLY_TO)}
        if not addresses:
            return replies
        absent = await self._publisher.absent([address for address in addresses if address is not None])
        return [
            _to_default(reply, "the client has gone") if reply.queue in absent else reply for reply in replies
        ]


def _to_default(reply: Reply, reason: str) -> Reply:
    fault = Fault(
        REPLY_QUEUE, None, f"the reply queue takes nothing ({reason}): this result is in the default one"
    )
    return reply._replace(queue=None, body=with_error(reply.body, fault))


def _queue(reply: Reply) -> str:
    return short(reply.queue) or REPLIES


def _outgoing(reply: Reply) -> Outgoing:
    queue = _queue(reply)
    # A client's queue ends with the client, and may be declared by it alone.
    declare = not reply.is_to_client and not queue.startswith(_RESERVED)
    return Outgoing(queue, reply.body, short(reply.correlation_id), declare)


def short(text: str | None) -> str | None:
    """The text if AMQP can say it: 255 bytes at most. A result's own attributes have what it cannot."""
    return text if text is not None and len(text.encode(errors="replace")) <= _SHORT_BYTES else None
