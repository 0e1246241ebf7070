"""What is to be written again when the ledger beside RabbitMQ has lost its last writes.

RabbitMQ has lost nothing: a message that was not acknowledged comes again, and is answered again from what
the ledger knows of it by then.
"""

from collections import OrderedDict
from dataclasses import replace

from numbergroup.engine.settling.settlement import Settlement

_UNITS = 10_000


class WrittenUnits:
    """Under which of its own serials a log has written the records of each unit, of the last 10,000."""

    def __init__(self) -> None:
        self._serials: OrderedDict[int, int] = OrderedDict()

    def note(self, unit: int, serial: int) -> int:
        """The unit is written under this serial, unless it was so before; the serial that counts."""
        if unit not in self._serials and len(self._serials) >= _UNITS:
            self._serials.popitem(last=False)
        return self._serials.setdefault(unit, serial)

    def find_lost_part(
        self, unit: Settlement, serial: int, kept: int, *, published: bool
    ) -> Settlement | None:
        """See `Log.find_lost_part`. Notes on messages are not written again: a message may have been
        acknowledged since, and another one with the same bytes must not be taken for it."""
        if self._serials.get(serial, kept + 1) <= kept:
            return None
        return replace(unit, replies=[], done=[], partial=[], replayed=unit.replayed if published else [])
