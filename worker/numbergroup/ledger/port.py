"""The interfaces of the ledger, which the runtime and the command line use.

Every method may raise `LedgerUnavailable`. Every change is atomic: it happens completely or not at all.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from numbergroup.engine.commands import Command, CommandKey, GroupRef
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.events import Controls, LookupResult
from numbergroup.engine.partition.poison_detection import History, InHand
from numbergroup.engine.policy import BreakerNotice
from numbergroup.engine.verdicts import Fault
from numbergroup.errors import NumbergroupError, ServerError
from numbergroup.ledger import history
from numbergroup.ledger.token_state import TokenState


class LedgerUnavailable(ServerError):
    """The ledger does not answer, or refuses for a reason that may pass (memory, disk, failover)."""


class PartitionCountChanged(NumbergroupError):
    """Another number of partitions is in force than this worker is configured with."""

    def __init__(self, mine: int, in_force: int) -> None:
        super().__init__(f"the number of partitions is {in_force} by now, and not {mine}")


@dataclass(slots=True, frozen=True)
class Seniority:
    """A worker's rank by age among the live workers.

    `rank` 0 is the oldest of `workers` live workers. `registered_at_ms` is in the server's milliseconds.
    """

    rank: int
    workers: int
    registered_at_ms: int


@dataclass(slots=True, frozen=True)
class UpcomingCall:
    """Identifies a call that is about to be sent: see `numbergroup.engine.events.StartCall`.

    `partition` and `epoch` are the sending owner's, `ref` is the group.
    """

    partition: int
    epoch: int
    ref: GroupRef
    call_id: int
    expirable_keys: Sequence[CommandKey] = ()
    created_group: CreateIntent | None = None


@dataclass(slots=True, frozen=True)
class PreviousOwnerState:
    """What a partition's new owner must know of the owners before it.

    `doubts`: calls that may still take effect; their `until` is in seconds from now. `attempted`: commands
    with an expirytime that were in a call and are not settled. `quarantined`: groups in quarantine, of all
    partitions.

    `lost_s_ago`: how many seconds ago the ledger may have lost the previous owner's last writes. Calls and
    creates may be missing here then. `None`: nothing was lost.
    """

    doubts: Mapping[GroupRef, Sequence[Doubt]]
    attempted: Collection[CommandKey]
    quarantined: Mapping[GroupRef, Fault] = field(default_factory=dict)
    lost_s_ago: float | None = None


@dataclass(slots=True, frozen=True)
class CrashRecord:
    """What the ledger knows of a partition's crashes.

    `has_uncounted_crash`: an owner crashed, and `history` does not count it yet. `in_hand` names the messages
    that this owner had.
    """

    history: History
    has_uncounted_crash: bool
    in_hand: InHand


@dataclass(slots=True, frozen=True)
class Pause:
    """An operator's pause. `operator` is user@host; `since` is in Unix seconds."""

    reason: str
    operator: str
    since: float


@dataclass(slots=True, frozen=True)
class ControlSnapshot:
    """The complete set of controls that are in force.

    `resumed` has the server's time, in milliseconds, of each account's or group's last resume within the last
    hour.
    """

    controls: Controls
    resumed: Mapping[str | GroupRef, int]


class ControlStore(Protocol):
    """Controls that all workers share: the pauses of operators and the breakers of accounts.

    An account is identified by its name. Every method may raise `LedgerUnavailable`; every change is atomic.
    """

    async def read(self) -> ControlSnapshot:
        """Return all controls, in one round trip.

        An unreadable entry is logged and skipped. An unreadable pause still pauses the account or group that
        it names.
        """

    async def read_pauses(self) -> Mapping[str | GroupRef, Pause]:
        """Return all pauses, by account or group."""

    async def pause(self, target: str | GroupRef, reason: str, operator: str) -> bool:
        """Pause an account or a group: none of its calls begins.

        Returns False, and changes nothing, if it is paused already.
        """

    async def resume(self, target: str | GroupRef, operator: str) -> bool:
        """End the pause and the quarantine of an account or a group, and tell every worker to try it again.

        Returns False if there was neither a pause nor a quarantine; workers try it again all the same.
        """

    async def claim_probe(self, account: str, owner: str, ttl_s: float) -> bool:
        """Reserve the right to probe the account for `ttl_s` seconds.

        Returns True also if `owner` has it already, and False if another worker has it.
        """

    async def release_probe(self, account: str, owner: str) -> None:
        """Give up the right to probe the account, if `owner` has it."""

    async def publish_breaker(self, account: str, notice: BreakerNotice | None) -> None:
        """Tell all workers that the account's breaker is open, or closed (`notice` is `None`)."""


class TokenStore(Protocol):
    """Vendor tokens that all workers share, by account. Every method may raise `LedgerUnavailable`."""

    async def read(self, account: str) -> TokenState:
        """Return the state of the account's token; an empty state if it cannot be read."""

    async def change(
        self, account: str, change: Callable[[TokenState], TokenState | None]
    ) -> TokenState | None:
        """Change the state by compare-and-swap, and return the new one.

        `change` computes the new state from the current one; it must be pure, for it is called again if
        another worker changed the state meanwhile. If it returns `None`, nothing is changed and `None` is
        returned.
        """


class Limiter(Protocol):
    """The rate limit of one account, which all workers share."""

    async def acquire(self, max_calls: int = 1) -> int:
        """Reserve between one and `max_calls` calls, and return how many.

        Waits until the limit permits one call, and reserves as many as it permits at that moment.
        """


class Ledger(Protocol):
    """The durable state of commands, groups, partitions and workers.

    Every method may also raise `HistoryChanged` within `numbergroup.ledger.history.bound_to`.
    """

    @property
    def history(self) -> history.History | None:
        """The history of the connected server; `None` before the first connection."""

    async def lookup(self, commands: Sequence[Command]) -> LookupResult:
        """Return what the ledger knows of these commands and their groups, in one round trip."""

    async def record_intent(self, call: UpcomingCall, intent: CreateIntent) -> bool:
        """Record that a create is about to be sent. It replaces an earlier intent of the group.

        Returns False, and changes nothing, if the partition has another owner.
        """

    async def record_call(self, call: UpcomingCall, doubts: Sequence[Doubt], now: float) -> bool:
        """Record the group's calls that may take effect, until their times are over or they are settled.

        `doubts` includes the call that is about to be sent, and replaces what was recorded of the group. The
        call's `created_group`, if any, replaces the group's intent, if there still is one. Returns False, and
        changes nothing, if the partition has another owner.
        """

    async def read_previous_owner_state(self, partition: int) -> PreviousOwnerState:
        """Return what the partition's new owner must know of the owners before it."""

    async def delete_intent(self, ref: GroupRef, intent: CreateIntent) -> None:
        """Delete this intent: its create was answered and created nothing. A later intent of `ref` stays."""

    async def acquire_lease(
        self, partition: int, owner: str, ttl_s: float, above_epoch: int = 0
    ) -> int | None:
        """Become the partition's owner for `ttl_s` seconds.

        Returns the new epoch, or `None` while another worker is the owner. The epoch is greater than every
        epoch that the ledger knows and than `above_epoch`: a ledger that has lost its last writes would
        otherwise give the same epoch twice.
        """

    async def renew_lease(self, partition: int, owner: str, epoch: int, ttl_s: float) -> bool:
        """Stay the owner for another `ttl_s` seconds.

        Returns False if the partition had another owner meanwhile, or was released.
        """

    async def release_lease(self, partition: int, owner: str, epoch: int) -> None:
        """Stop being the owner, without a crash: another worker can take over at once."""

    async def read_last_unit(self, partition: int) -> tuple[int, int]:
        """Return the epoch in force, and the serial of the last unit settled under it (0: none)."""

    async def clear_loss(self, partition: int, epoch: int) -> None:
        """Record that all lost writes are known again: see `PreviousOwnerState.lost_s_ago`."""

    async def read_crash_record(self, partition: int) -> CrashRecord:
        """Return what is recorded of the partition's crashes.

        An owner that never released its lease counts as crashed once another worker is the owner.
        """

    async def write_crash_history(self, partition: int, epoch: int, history: History) -> bool:
        """Store a history that counts all crashes until now, and clear the messages in hand.

        Returns False, and changes nothing, if the partition has another owner.
        """

    async def write_in_hand(self, partition: int, epoch: int, in_hand: InHand) -> bool:
        """Store the messages in hand, instead of those stored before.

        Returns False, and changes nothing, if the partition has another owner.
        """

    async def register(self, owner: str, partitions: int, ttl_s: float, since_ms: int = 0) -> Seniority:
        """Count the worker as alive for another `ttl_s` seconds.

        A worker that the ledger does not know is registered since `since_ms` (0: since now). Raises
        `PartitionCountChanged`, and changes nothing, if the number of partitions is not `partitions`.
        """

    async def unregister(self, owner: str) -> None:
        """Stop counting the worker as alive."""

    async def read_owners(self, partitions: int) -> Sequence[str | None]:
        """Return the owner of each partition; `None` for a partition without an owner."""

    async def read_partition_count(self) -> int | None:
        """Return the number of partitions; `None` before the first worker."""

    async def repartition(self, old: int | None, new: int) -> int | None:
        """Change the number of partitions from `old` to `new`; return 0.

        Otherwise changes nothing: returns how many live workers and owned partitions are in the way, or
        `None` if the number of partitions is not `old`.
        """

    def limiter(self, account: str, calls_per_second: float) -> Limiter:
        """Return the account's shared rate limit."""
