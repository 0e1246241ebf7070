"""Solo mode: the steps of all partitions of a worker run one at a time, to find what crashes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from numbergroup.errors import OwnershipLost
from numbergroup.ledger.history import HistoryChanged


class SoloMode:
    """Makes the steps of all partitions of a worker run one at a time.

    It is true while at least one partition notes its steps: a crash must not be caused by another partition.
    """

    def __init__(self) -> None:
        self._noting_partitions: set[int] = set()
        self.lock = asyncio.Lock()

    def __bool__(self) -> bool:
        return bool(self._noting_partitions)

    def enable(self, partition: int) -> None:
        self._noting_partitions.add(partition)

    def disable(self, partition: int) -> None:
        self._noting_partitions.discard(partition)

    @asynccontextmanager
    async def run_alone(self) -> AsyncIterator[None]:
        """Run the block while no other step runs."""
        await self.lock.acquire()
        try:
            yield
        except (OwnershipLost, HistoryChanged, asyncio.CancelledError):
            self.lock.release()
            raise
        # Any other error ends the worker. The lock stays taken, so that no later step overwrites the note.
        self.lock.release()
