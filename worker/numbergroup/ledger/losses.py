"""Finds out what a ledger may have lost: the last unit it knows, and the time of a possible loss."""

import re
from typing import Any

from redis.asyncio import Redis

from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.port import LedgerUnavailable

_CLEAR = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('HDEL', KEYS[2], 'lost') end
return 1
"""
_UNIT = re.compile(rb"(\d+):(\d+)")


class Losses:
    """Implements `read_last_unit` and `clear_loss` of `numbergroup.ledger.port.Ledger`."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._clear = client.register_script(_CLEAR)

    async def read_last_unit(self, partition: int) -> tuple[int, int]:
        script_keys = [keys.of_partition(partition, name) for name in (keys.EPOCH, keys.UNIT)]
        async with translate_errors(LedgerUnavailable):
            values: Any = await self._client.mget(script_keys)
        epoch, unit = values
        in_force = int(epoch) if epoch and epoch.isdigit() else 0
        written = _UNIT.fullmatch(unit or b"")
        serial = int(written[2]) if written and int(written[1]) == in_force else 0
        return in_force, serial

    async def clear(self, partition: int, epoch: int) -> None:
        script_keys = [keys.of_partition(partition, name) for name in (keys.EPOCH, keys.CRASHES)]
        async with translate_errors(LedgerUnavailable):
            await self._clear(keys=script_keys, args=[epoch])


def seconds_since(lost_ms: bytes | None, now_ms: int) -> float | None:
    """Return how many seconds ago the loss was; 0 if the time cannot be read, `None` without a loss."""
    if lost_ms is None:
        return None
    return max(0.0, (now_ms - int(lost_ms)) / 1000) if lost_ms.isdigit() else 0.0
