"""Settlements of several steps at once, as the runtime's committer builds them."""

from collections.abc import Iterable, Sequence

from numbergroup.engine.effects import Settle
from numbergroup.engine.settling.settlement import OpenSettlement, Settlement


def settlement_of(settles: Iterable[Settle], now: float, reply_queues: Sequence[str] = ()) -> Settlement:
    """One closed unit of partition 0 with the contents of all `settles`."""
    unit = OpenSettlement(0, reply_queues)
    for settle in settles:
        unit.add(settle, now)
    return unit.close()
