"""Remembers what a worker wrote in its last epochs as a partition's owner, in case the ledger loses it."""

from dataclasses import dataclass

from numbergroup.engine.settling.settlement import Settlement
from numbergroup.runtime.committer import Committer

_MAX_EPOCHS = 3

LastUnit = tuple[int, int]
"""An epoch, and the serial of the last unit settled in it; see `Ledger.read_last_unit`."""


@dataclass(slots=True)
class _OwnedEpoch:
    """One epoch as the owner. `last_unit_before` is the last unit that the ledger knew at its start."""

    last_unit_before: LastUnit
    epoch: int
    committer: Committer


class OwnedEpochs:
    """A worker's consecutive epochs as a partition's owner. No other worker owned it between them."""

    def __init__(self) -> None:
        self._epochs: list[_OwnedEpoch] = []

    def add(self, last_unit_before: LastUnit, epoch: int, committer: Committer) -> None:
        """Start an epoch in which `committer` writes. Only the last few epochs are kept."""
        self._epochs = [
            *self._epochs[1 - _MAX_EPOCHS :],
            _OwnedEpoch(last_unit_before, epoch, committer),
        ]

    def clear(self) -> None:
        """Forget all epochs: another worker may own the partition from now on."""
        self._epochs = []

    def remove_missing(self, kept: LastUnit) -> list[Settlement] | None:
        """Return all units that a ledger lacks whose last unit is `kept`, and forget them here.

        Returns `None` when not all of them are remembered, or another worker may have written some.
        """
        for index in reversed(range(len(self._epochs))):
            owned = self._epochs[index]
            if kept[0] != owned.epoch and kept != owned.last_unit_before:
                continue
            later_epochs = self._epochs[index + 1 :]
            parts = [owned.committer.remove_missing(kept[1] if kept[0] == owned.epoch else 0)]
            parts += [later.committer.remove_missing(0) for later in later_epochs]
            del self._epochs[index + 1 :]
            remembered = [part for part in parts if part is not None]
            return [unit for part in remembered for unit in part] if len(remembered) == len(parts) else None
        return None
