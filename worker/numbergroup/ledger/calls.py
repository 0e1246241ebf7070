"""What is recorded of calls before they are sent: those of one moment together."""

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
_MOST_AT_ONCE = 64


@dataclass(slots=True)
class _Unit:
    """Of one owner of a partition: what is written at once, and what came of it."""

    epoch: int
    args: list[bytes | str | int] = field(default_factory=list)
    calls: int = 0
    ours: bool | None = None
    problem: str | None = None


class CallRecords:
    """Group commit, without a window: what comes while a partition's last unit is being written is the next
    one, so that a busy worker pays one round trip for many calls, and a lone call waits for nobody."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(files(__package__).joinpath("call.lua").read_text())
        self._gathering: dict[int, _Unit] = {}
        self._writing: dict[int, asyncio.Lock] = {}
        # For all partitions, whatever their epochs: it has to grow in each, and may skip.
        self._serials = itertools.count(1)

    async def write(self, partition: int, epoch: int, args: Args) -> bool:
        """See `call.lua`, also for `args`, which are those of one call. Raises `LedgerUnavailable`."""
        unit = self._gathering.get(partition)
        if unit is None or unit.epoch != epoch or unit.calls >= _MOST_AT_ONCE:
            unit = self._gathering[partition] = _Unit(epoch)
        unit.args += args
        unit.calls += 1
        async with self._writing.setdefault(partition, asyncio.Lock()):
            # Whoever comes first writes for all. Should that one be cancelled, the next one does.
            if unit.ours is None and unit.problem is None:
                if self._gathering.get(partition) is unit:
                    del self._gathering[partition]
                await self._write(partition, unit)
        if unit.problem is not None:
            raise LedgerUnavailable(unit.problem)
        return bool(unit.ours)

    async def _write(self, partition: int, unit: _Unit) -> None:
        used = [keys.of_partition(partition, name) for name in (keys.EPOCH, keys.CALLS, keys.ATTEMPTED)]
        used += [keys.CREATES, keys.of_partition(partition, keys.RECORDED)]
        try:
            async with translate_errors(LedgerUnavailable):
                ours = await self._script(keys=used, args=[unit.epoch, next(self._serials), *unit.args])
                unit.ours = bool(ours)
        except LedgerUnavailable as error:
            unit.problem = str(error)
