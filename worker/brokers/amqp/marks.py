"""Which commands of a message are answered already, while others of it are not: for when it comes again."""

from collections.abc import Iterable, Sequence
from typing import Any

from redis.asyncio import Redis

from worker.brokers.amqp.window import Window
from worker.brokers.port import BrokerUnavailable
from worker.brokers.side import SideLog
from worker.engine.replays import SIDE
from worker.ledger import keys
from worker.ledger.client import mapped
from worker.ledger.codec import decode_marks


class Marks:
    """One partition's, as the ledger has them. `over`: those that are to be removed from it.

    One that is lost costs a repeated answer; one that stays would keep the same message, published again,
    from being answered.
    """

    def __init__(self, client: Redis, partition: int) -> None:
        self._client = client
        self._name = keys.of_partition(partition, "partial")
        self._of: dict[str, set[int]] = {}
        self.over: list[str] = []

    async def recall(self, side: SideLog) -> None:
        """Take in what an earlier owner has left; `side` keeps its own. Raises `BrokerUnavailable`."""
        async with mapped(BrokerUnavailable):
            found: Any = await self._client.hgetall(self._name)
        self._of = side.take_marks(decode_marks(found))

    def of(self, tag: str) -> set[int]:
        return set(self._of.get(tag, ()))

    def put(self, written: Iterable[tuple[str, Sequence[int]]]) -> None:
        self._of.update((tag, set(indexes)) for tag, indexes in written if not tag.startswith(SIDE))

    def drop(self, tags: Iterable[str]) -> None:
        """The messages are settled whole."""
        self.over += [tag for tag in tags if self._of.pop(tag, None) is not None]

    def keep(self, window: Window) -> None:
        """What is not in the window was acknowledged, by an owner who died before the mark was removed."""
        self.drop([tag for tag in self._of if tag not in window])
