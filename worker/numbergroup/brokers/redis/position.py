"""How far a stream was read, and whether that still holds.

A read never returns what lies behind it. There may be new entries all the same, after the stream was
deleted or the server has lost its last writes: their ids begin again below the last one that was read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from numbergroup.brokers.port import BrokerUnavailable, StaleEpoch
from numbergroup.ledger.client import translate_errors

START = "0-0"
_CONFIRMED = 2


@dataclass(slots=True)
class Position:
    """`cursor`: the id of the last entry that was read. `unsettled`: the entries that were read and are not
    deleted yet, in order."""

    cursor: str = START
    unsettled: dict[str, None] = field(default_factory=dict)

    def advance(self, ids: Sequence[str]) -> None:
        """These entries were read."""
        self.unsettled.update(dict.fromkeys(ids))
        if ids:
            self.cursor = ids[-1]

    def settle(self, ids: Iterable[str]) -> None:
        """These entries are deleted."""
        for one in ids:
            self.unsettled.pop(one, None)

    def is_valid(self, last: str, first: str) -> bool:
        """Whether nothing lies unread up to the cursor. `last` is the stream's last id, `first` its first
        entry up to the cursor (empty for none)."""
        return _order(last) >= _order(self.cursor) and (not first or first in self.unsettled)


class PositionCheck:
    """Looks whether positions in streams still hold."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(files(__package__).joinpath("check_position.lua").read_text())

    async def __call__(self, positions: Mapping[str, Position]) -> None:
        """Raise `StaleEpoch` if one of the streams, by name, has entries that its position has passed by.

        May raise `BrokerUnavailable`.
        """
        # An entry may have been deleted, and noted as such, while the first answer was on its way.
        for _ in range(_CONFIRMED):
            broken = await self._broken(positions)
            if broken is None:
                return
        raise StaleEpoch(f"the stream {broken} was deleted, or has lost its last entries: it is read again")

    async def _broken(self, positions: Mapping[str, Position]) -> str | None:
        async with translate_errors(BrokerUnavailable):
            found: Any = await self._script(
                keys=[*positions], args=[position.cursor for position in positions.values()]
            )
        for (stream, position), (last, first) in zip(positions.items(), found, strict=True):
            if not position.is_valid(last.decode(), first.decode()):
                return stream
        return None


def _order(entry: str) -> tuple[int, int]:
    milliseconds, _, serial = entry.partition("-")
    return int(milliseconds), int(serial or 0)
