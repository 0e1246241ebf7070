"""Owning a partition, also on a ledger that has lost its last writes.

What this worker has written and what it knows of its calls is written again, before anything is read: nothing
is done twice then. What the ledger has lost of another worker's calls is not known: see
`PreviousOwnerState.lost_s_ago`.
"""

from collections.abc import Callable, Sequence
from functools import partial

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.events import OpenCalls
from numbergroup.engine.group.state import INHERITED
from numbergroup.engine.settling.settlement import Settlement
from numbergroup.ledger.history import HistoryChanged, bound_to
from numbergroup.ledger.port import LedgerUnavailable, UpcomingCall
from numbergroup.runtime.committer import Committer
from numbergroup.runtime.lease import Lease, LeaseLost
from numbergroup.runtime.owned_epochs import LastUnit, OwnedEpochs
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.retrying import retry_until_available


class LossRecovery:
    """Of one partition. `find_open_calls` asks the engine, with the partition and the time."""

    def __init__(self, number: int, ports: Ports, find_open_calls: Callable[[int, float], OpenCalls]) -> None:
        self._number = number
        self._ports = ports
        self._find_open_calls = find_open_calls
        self._epochs = OwnedEpochs()
        self._found: LastUnit = (0, 0)
        self._open_calls: OpenCalls | None = None
        self._last_epoch = 0
        self.lost_units: Sequence[Settlement] = ()
        """What has to be written again before anything else."""

    def new_lease(self) -> Lease:
        ports = self._ports
        return Lease(ports.ledger, self._number, ports.owner, ports.lease_ttl_s, ports.clock)

    async def acquire(self) -> Lease | None:
        """Become the owner; `None` while another worker is. Raises `LedgerUnavailable`."""
        lease, history = self.new_lease(), self._ports.ledger.history
        try:
            with bound_to(history):
                found = await self._ports.ledger.read_last_unit(self._number)
                acquired = await lease.acquire(above=self._last_epoch)
        except HistoryChanged as error:
            raise LedgerUnavailable(str(error)) from error
        if not acquired:
            return None
        if lease.history != history:
            raise LedgerUnavailable("the server has changed meanwhile")
        self._found, self._last_epoch = found, lease.epoch
        return lease

    async def reacquire(self) -> Lease:
        """Become the owner again. Raises `LeaseLost` when another worker was faster."""
        lease = await retry_until_available("owning the partition anew", self.acquire)
        if lease is None:
            raise LeaseLost(f"partition {self._number} has another owner")
        return lease

    def find_losses(self, former: Lease) -> None:
        """See what the ledger has lost, when all calls of the `former` lease have ended."""
        missing = self._epochs.remove_missing(self._found) if former.was_held_throughout else None
        if missing is None:
            # Another worker may have done what is not known here: all that is left is done in its order.
            self.forget_epochs()
            return
        # What was found after an earlier loss, and is not recorded yet, is all that there is.
        now = self._ports.clock.now()
        calls = self._open_calls = self._open_calls or self._find_open_calls(self._number, now)
        ended = [(ref, INHERITED) for ref in calls.closed]
        self.lost_units = [*missing, Settlement(self._number, intents_done=calls.closed, calls_done=ended)]

    def start_epoch(self, lease: Lease, committer: Committer) -> None:
        """The committer writes under this lease from here on; what was lost it has to write first."""
        self._epochs.add(self._found, lease.epoch, committer)
        self.lost_units = ()

    def forget_epochs(self) -> None:
        """Another worker may be the owner from here on."""
        self._epochs.clear()
        self.lost_units, self._open_calls = (), None

    async def rewrite_call_records(self, epoch: int) -> None:
        """Write the records of calls again that the ledger may have lost."""
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
