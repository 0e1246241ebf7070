"""Tracks how far a stream was read, and detects entries that reading skips.

`XREAD` returns only entries after the cursor. If the stream was deleted, or the server lost its last writes,
new entries get ids below the cursor, and would never be read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from numbergroup.brokers.port import BrokerUnavailable, StaleEpoch
from numbergroup.ledger.client import translate_errors

START = "0-0"
_CHECKS = 2


@dataclass(slots=True)
class Position:
    """How far one stream was read.

    `cursor`: the id of the last entry that was read. `unsettled`: ids of entries that were read and are not
    deleted yet, in order.
    """

    cursor: str = START
    unsettled: dict[str, None] = field(default_factory=dict)

    def advance(self, ids: Sequence[str]) -> None:
        """Note that these entries were read."""
        self.unsettled.update(dict.fromkeys(ids))
        if ids:
            self.cursor = ids[-1]

    def settle(self, ids: Iterable[str]) -> None:
        """Note that these entries are deleted."""
        for entry_id in ids:
            self.unsettled.pop(entry_id, None)

    def is_valid(self, last: str, first: str) -> bool:
        """Whether no entry up to the cursor is unread.

        `last` is the stream's last generated id, `first` the id of its first entry up to the cursor (empty if
        there is none).
        """
        return _order(last) >= _order(self.cursor) and (not first or first in self.unsettled)


class PositionCheck:
    """Checks whether positions in streams are still valid."""

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(files(__package__).joinpath("check_position.lua").read_text())

    async def __call__(self, positions: Mapping[str, Position]) -> None:
        """Raise `StaleEpoch` if a stream has unread entries up to its cursor. `positions` is by stream name.

        May raise `BrokerUnavailable`.
        """
        # Settling may have deleted an entry while the first answer was on its way: a second check decides.
        for _ in range(_CHECKS):
            invalid = await self._find_invalid(positions)
            if invalid is None:
                return
        raise StaleEpoch(f"the stream {invalid} was deleted, or has lost its last entries: it is read again")

    async def _find_invalid(self, positions: Mapping[str, Position]) -> str | None:
        async with translate_errors(BrokerUnavailable):
            answers: Any = await self._script(
                keys=[*positions], args=[position.cursor for position in positions.values()]
            )
        for (stream, position), (last, first) in zip(positions.items(), answers, strict=True):
            if not position.is_valid(last.decode(), first.decode()):
                return stream
        return None


def _order(entry: str) -> tuple[int, int]:
    milliseconds, _, serial = entry.partition("-")
    return int(milliseconds), int(serial or 0)
