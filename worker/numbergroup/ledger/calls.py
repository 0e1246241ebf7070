"""Records calls in the ledger before they are sent; concurrent records share one round trip."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from redis.asyncio import Redis

from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.port import LedgerUnavailable

Args = Sequence[bytes | str | int]
_MAX_CALLS = 64


@dataclass(slots=True)
class _Batch:
    """Records of one partition and epoch that are written together, and the result.

    `is_owner`: whether the partition still had this owner; `None` before the write. `problem`: why it failed.
    """

    epoch: int
    args: list[bytes | str | int] = field(default_factory=list)
    calls: int = 0
    is_owner: bool | None = None
    problem: str | None = None


class CallRecords:
    """Group commit for records of calls, without a delay.

    Records that arrive during a partition's write form its next batch. So a busy worker makes one round trip
    for many calls, and a single call is recorded at once.
    """

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(files(__package__).joinpath("call.lua").read_text())
        self._gathering: dict[int, _Batch] = {}
        self._writing: dict[int, asyncio.Lock] = {}
        # One counter for all partitions and epochs: serials must grow in each of them, and may have gaps.
        self._serials = itertools.count(1)

    async def write(self, partition: int, epoch: int, args: Args) -> bool:
        """Record one call, whose arguments for `call.lua` are `args`.

        Returns False if the partition has another owner. Raises `LedgerUnavailable`.
        """
        batch = self._gathering.get(partition)
        if batch is None or batch.epoch != epoch or batch.calls >= _MAX_CALLS:
            batch = self._gathering[partition] = _Batch(epoch)
        batch.args += args
        batch.calls += 1
        async with self._writing.setdefault(partition, asyncio.Lock()):
            # The first task writes for all of the batch. If it is cancelled, the next one does.
            if batch.is_owner is None and batch.problem is None:
                if self._gathering.get(partition) is batch:
                    del self._gathering[partition]
                await self._write(partition, batch)
        if batch.problem is not None:
            raise LedgerUnavailable(batch.problem)
        return bool(batch.is_owner)

    async def _write(self, partition: int, batch: _Batch) -> None:
        script_keys = [
            keys.of_partition(partition, name) for name in (keys.EPOCH, keys.CALLS, keys.ATTEMPTED)
        ]
        script_keys += [keys.CREATES, keys.of_partition(partition, keys.RECORDED)]
        try:
            async with translate_errors(LedgerUnavailable):
                answer = await self._script(
                    keys=script_keys, args=[batch.epoch, next(self._serials), *batch.args]
                )
                batch.is_owner = bool(answer)
        except LedgerUnavailable as error:
            batch.problem = str(error)
