"""Acquires a partition, and restores what the ledger lost of this worker's last writes.

This worker's lost settlements and call records are written again before any command is read, so nothing is
done twice. What the ledger lost of another worker's writes is unknown: see `PreviousOwnerState.lost_s_ago`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.events import OpenCalls, PartitionAcquired
from numbergroup.engine.group.state import INHERITED
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger.history import HistoryChanged, bound_to
from numbergroup.ledger.port import LedgerUnavailable, UpcomingCall
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.committer import Committer
from numbergroup.runtime.lease import Lease, LeaseLost
from numbergroup.runtime.owned_epochs import LastUnit, OwnedEpochs
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.retrying import retry_until_available

log = get_logger("partition")


class LossRecovery:
    """Acquires one partition, and finds and restores lost writes.

    `find_open_calls(partition, now)` returns the engine's open calls at `now` (Unix seconds).
    """

    def __init__(self, number: int, ports: Ports, find_open_calls: Callable[[int, float], OpenCalls]) -> None:
        self._number = number
        self._ports = ports
        self._find_open_calls = find_open_calls
        self._epochs = OwnedEpochs()
        self._last_unit: LastUnit = (0, 0)
        """The last unit that the ledger knew when the partition was acquired."""
        self._open_calls: OpenCalls | None = None
        self._last_epoch = 0
        self.lost_units: Sequence[Settlement] = ()
        """Units to be written again before anything else."""

    def new_lease(self) -> Lease:
        ports = self._ports
        return Lease(ports.ledger, self._number, ports.owner, ports.lease_ttl_s, ports.clock)

    async def acquire(self) -> Lease | None:
        """Become the owner, and return the lease.

        Returns `None` while another worker is the owner. Raises `LedgerUnavailable`.
        """
        lease, history = self.new_lease(), self._ports.ledger.history
        try:
            with bound_to(history):
                last_unit = await self._ports.ledger.read_last_unit(self._number)
                is_acquired = await lease.acquire(above=self._last_epoch)
        except HistoryChanged as error:
            raise LedgerUnavailable(str(error)) from error
        if not is_acquired:
            return None
        if lease.history != history:
            raise LedgerUnavailable("the server was replaced while the lease was acquired")
        self._last_unit, self._last_epoch = last_unit, lease.epoch
        return lease

    async def reacquire(self) -> Lease:
        """Become the owner again. Raises `LeaseLost` when another worker was faster."""
        lease = await retry_until_available("acquiring the partition again", self.acquire)
        if lease is None:
            raise LeaseLost(f"partition {self._number} has another owner")
        return lease

    def find_losses(self, former: Lease) -> None:
        """Find what the ledger lost. Call it when all calls of the `former` lease have ended."""
        missing = self._epochs.remove_missing(self._last_unit) if former.was_held_throughout else None
        if missing is None:
            # Another worker may have settled commands meanwhile, so nothing may be written again.
            self.forget_epochs()
            return
        # Open calls found after an earlier loss are still to be recorded; the engine has forgotten them.
        now = self._ports.clock.now()
        calls = self._open_calls = self._open_calls or self._find_open_calls(self._number, now)
        ended = [(ref, INHERITED) for ref in calls.closed]
        self.lost_units = [*missing, Settlement(self._number, intents_done=calls.closed, calls_done=ended)]

    def start_epoch(self, lease: Lease, committer: Committer) -> None:
        """Note that `committer` writes under this lease from now on, and `lost_units` first."""
        self._epochs.add(self._last_unit, lease.epoch, committer)
        self.lost_units = ()

    def forget_epochs(self) -> None:
        """Forget what was written: another worker may own the partition from now on."""
        self._epochs.clear()
        self.lost_units, self._open_calls = (), None

    async def rewrite_call_records(self, epoch: int) -> None:
        """Write again the call records that the ledger may have lost."""
        calls, ledger, now = self._open_calls, self._ports.ledger, self._ports.clock.now()
        if calls is None:
            return
        for ref in dict.fromkeys([*calls.doubts, *calls.attempted]):
            sender = self._sender(epoch, ref, calls)
            doubts = calls.doubts.get(ref, ())
            await retry_until_available(
                "recording calls again", partial(ledger.record_call, sender, doubts, now)
            )
        for ref, intent in calls.intents.items():
            sender = self._sender(epoch, ref, calls)
            await retry_until_available(
                "recording a create again", partial(ledger.record_intent, sender, intent)
            )
        await retry_until_available(
            "recording that nothing is lost", partial(ledger.clear_loss, self._number, epoch)
        )
        self._open_calls = None

    def _sender(self, epoch: int, ref: GroupRef, calls: OpenCalls) -> UpcomingCall:
        return UpcomingCall(self._number, epoch, ref, INHERITED, calls.attempted.get(ref, ()))

    async def load_inheritance(self) -> PartitionAcquired:
        """Return the event that tells the engine of the previous owner's calls."""
        load = partial(self._ports.ledger.read_previous_owner_state, self._number)
        previous = await retry_until_available("looking up the last owner's calls", load)
        now = self._ports.clock.now()
        doubts = {
            ref: [replace(doubt, until=now + doubt.until) for doubt in group_doubts]
            for ref, group_doubts in previous.doubts.items()
        }
        quiet_until = None
        if previous.lost_s_ago is not None:
            quiet_until = now - previous.lost_s_ago + self._ports.call_lasts_s
            log.error(
                "the ledger may have lost writes of a crashed owner: no call begins until that owner's calls "
                "must have ended",
                partition=self._number,
                wait_s=round(max(0.0, quiet_until - now), 1),
            )
        return PartitionAcquired(
            self._number, doubts, now, previous.attempted, previous.quarantined, quiet_until
        )
