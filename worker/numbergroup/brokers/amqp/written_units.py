"""Remembers the ledger writes of settled units, to repeat those that the ledger has lost.

RabbitMQ loses nothing: an unacknowledged message is delivered again, and answered from what the ledger knows
of it then.
"""

from collections import OrderedDict
from dataclasses import replace

from numbergroup.engine.settling.settlement import Settlement

_MAX_UNITS = 10_000


class WrittenUnits:
    """Maps the serials of the last 10,000 units to the serials of their ledger writes."""

    def __init__(self) -> None:
        self._writes: OrderedDict[int, int] = OrderedDict()

    def register(self, unit_serial: int, write_serial: int) -> int:
        """Register that the unit is written with this serial; return the first serial of the unit."""
        if unit_serial not in self._writes and len(self._writes) >= _MAX_UNITS:
            self._writes.popitem(last=False)
        return self._writes.setdefault(unit_serial, write_serial)

    def find_lost_part(
        self, unit: Settlement, serial: int, kept: int, *, published: bool
    ) -> Settlement | None:
        """See `Log.find_lost_part`.

        Notes on messages are not written again: a message may have been acknowledged since, and its note must
        not apply to another message with the same bytes.
        """
        if self._writes.get(serial, kept + 1) <= kept:
            return None
        return replace(unit, replies=[], done=[], partial=[], replayed=unit.replayed if published else [])
