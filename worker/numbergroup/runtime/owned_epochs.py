"""What a worker has written as the owner of a partition, through losses of the ledger."""

from dataclasses import dataclass

from numbergroup.engine.settling.settlement import Settlement
from numbergroup.runtime.committer import Committer

_MOST = 3

LastUnit = tuple[int, int]
"""An epoch, and the serial of the last unit that was settled under it: see `Ledger.read_last_unit`."""


@dataclass(slots=True)
class _OwnedEpoch:
    """One epoch as the owner. `found`: what had been written before."""

    last_unit_before: LastUnit
    epoch: int
    committer: Committer


class OwnedEpochs:
    """A worker's epochs as the owner of a partition, without a stranger's between two of them."""

    def __init__(self) -> None:
        self._epochs: list[_OwnedEpoch] = []

    @property
    def latest(self) -> Committer | None:
        """Writes at present."""
        return self._epochs[-1].committer if self._epochs else None

    def add(self, found: LastUnit, epoch: int, committer: Committer) -> None:
        """Another epoch begins."""
        self._epochs = [*self._epochs[1 - _MOST :], _OwnedEpoch(found, epoch, committer)]

    def clear(self) -> None:
        """Somebody else may be the owner from here on."""
        self._epochs = []

    def remove_missing(self, kept: LastUnit) -> list[Settlement] | None:
        """All that a ledger lacks which knows nothing later than `kept`; it is this worker's no longer.

        `None`: not all of it is remembered, or another worker may have written some of it.
        """
        for place in reversed(range(len(self._epochs))):
            owned = self._epochs[place]
            if kept[0] != owned.epoch and kept != owned.last_unit_before:
                continue
            later = self._epochs[place + 1 :]
            parts = [owned.committer.remove_missing(kept[1] if kept[0] == owned.epoch else 0)]
            parts += [one.committer.remove_missing(0) for one in later]
            del self._epochs[place + 1 :]
            found = [part for part in parts if part is not None]
            return [unit for part in found for unit in part] if len(found) == len(parts) else None
        return None
