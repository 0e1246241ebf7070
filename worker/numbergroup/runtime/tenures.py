"""What a worker has written as the owner of a partition, through losses of the ledger."""

from dataclasses import dataclass

from numbergroup.engine.settling.settlement import Settlement
from numbergroup.runtime.committer import Committer

_MOST = 3

LastUnit = tuple[int, int]
"""An epoch, and the serial of the last unit that was settled under it: see `Ledger.read_last_unit`."""


@dataclass(slots=True)
class _Tenure:
    """One epoch as the owner. `found`: what had been written before."""

    found: LastUnit
    epoch: int
    settler: Committer


class Tenures:
    """A worker's epochs as the owner of a partition, without a stranger's between two of them."""

    def __init__(self) -> None:
        self._tenures: list[_Tenure] = []

    @property
    def latest(self) -> Committer | None:
        """Writes at present."""
        return self._tenures[-1].settler if self._tenures else None

    def begin(self, found: LastUnit, epoch: int, settler: Committer) -> None:
        """Another epoch begins."""
        self._tenures = [*self._tenures[1 - _MOST :], _Tenure(found, epoch, settler)]

    def end(self) -> None:
        """Somebody else may be the owner from here on."""
        self._tenures = []

    def missing(self, kept: LastUnit) -> list[Settlement] | None:
        """All that a ledger lacks which knows nothing later than `kept`; it is this worker's no longer.

        `None`: not all of it is remembered, or another worker may have written some of it.
        """
        for place in reversed(range(len(self._tenures))):
            tenure = self._tenures[place]
            if kept[0] != tenure.epoch and kept != tenure.found:
                continue
            later = self._tenures[place + 1 :]
            parts = [tenure.settler.take_missing(kept[1] if kept[0] == tenure.epoch else 0)]
            parts += [one.settler.take_missing(0) for one in later]
            del self._tenures[place + 1 :]
            found = [part for part in parts if part is not None]
            return [unit for part in found for unit in part] if len(found) == len(parts) else None
        return None
