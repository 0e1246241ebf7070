"""What the runtime asks of a ledger. Every method may raise `LedgerUnavailable`; none half-does its work."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from numbergroup.engine.commands import Command, CommandKey, CreateIntent, Fault, GroupRef
from numbergroup.engine.doubt import Doubt
from numbergroup.engine.events import Controls, Facts
from numbergroup.engine.partition.poison_detection import History, InHand
from numbergroup.engine.policy import BreakerNotice
from numbergroup.ledger import history
from numbergroup.ledger.token_state import TokenState


class LedgerUnavailable(Exception):
    """The ledger did not answer, or refused for a reason that may pass (memory, disk, failover)."""


class PartitionCountChanged(Exception):
    """The commands are in another number of partitions than this worker was told."""

    def __init__(self, mine: int, in_force: int) -> None:
        super().__init__(f"the number of partitions is {in_force} by now, and not {mine}")


@dataclass(slots=True, frozen=True)
class Seniority:
    """A worker's place among the live `workers`: `rank` 0 is the most senior, `since` its seniority."""

    rank: int
    workers: int
    registered_at_ms: int


@dataclass(slots=True, frozen=True)
class UpcomingCall:
    """Who is about to send which call, for whom: see `numbergroup.engine.events.StartCall`."""

    partition: int
    epoch: int
    ref: GroupRef
    call_id: int
    expirable_keys: Sequence[CommandKey] = ()
    created_group: CreateIntent | None = None


@dataclass(slots=True, frozen=True)
class PreviousOwnerState:
    """Calls that may take effect still (`until` in seconds from now), commands with an expirytime that were
    in a call and are not settled, and groups whose commands are put away (of all partitions).

    `lost_s` (seconds ago; `None`: never): then the ledger may have lost what the owner had written last, such
    as calls and creates that are not among these.
    """

    doubts: Mapping[GroupRef, Sequence[Doubt]]
    attempted: Collection[CommandKey]
    quarantined: Mapping[GroupRef, Fault] = field(default_factory=dict)
    lost_s_ago: float | None = None


@dataclass(slots=True, frozen=True)
class CrashRecord:
    """What is noted of a partition's crashes. `unclean`: an owner did not end well, which `history` does not
    count yet; it had `in_hand`."""

    history: History
    has_uncounted_crash: bool
    in_hand: InHand


@dataclass(slots=True, frozen=True)
class Pause:
    """What an operator has paused: `who` (user@host), `since` when (Unix seconds)."""

    reason: str
    operator: str
    since: float


@dataclass(slots=True, frozen=True)
class ControlSnapshot:
    """The controls that are in force, and when each account and group was last resumed (the server's
    milliseconds; those of the last hour)."""

    controls: Controls
    resumed: Mapping[str | GroupRef, int]


class ControlStore(Protocol):
    """What operators tell all workers, and workers each other. An account goes by its name.

    Every method may raise `LedgerUnavailable`; none half-does its work.
    """

    async def read(self) -> ControlSnapshot:
        """All that is in force, in one round trip. Junk is told in the log and passed over, but where an
        account or a group is named it is paused, whatever is said of it."""

    async def read_pauses(self) -> Mapping[str | GroupRef, Pause]:
        """What is paused, by whom and why."""

    async def pause(self, target: str | GroupRef, reason: str, who: str) -> bool:
        """Let no call of it begin. False, and nothing is changed: it was paused already."""

    async def resume(self, target: str | GroupRef, who: str) -> bool:
        """End its pause and its quarantine, and let every worker know that whatever holds it up is over.
        False: there was neither."""

    async def claim_probe(self, account: str, owner: str, ttl_s: float) -> bool:
        """Become the only one to try the account, for `ttl_s`; True also for who is that already."""

    async def release_probe(self, account: str, owner: str) -> None:
        """The trial is over: let another one in. What somebody else has taken stays."""

    async def publish_breaker(self, account: str, notice: BreakerNotice | None) -> None:
        """Let the others know that the account's breaker is open; `None`: that it is closed."""


class TokenStore(Protocol):
    """The tokens that all workers share, by account. Every method may raise `LedgerUnavailable`."""

    async def read(self, account: str) -> TokenState:
        """What is known of it; nothing is known of what cannot be read."""

    async def change(
        self, account: str, change: Callable[[TokenState], TokenState | None]
    ) -> TokenState | None:
        """What `change` has made of the state, written if nobody has changed it meanwhile, else made of the
        newer one. `None`: that is what it said, and nothing is changed. `change` is pure."""


class Limiter(Protocol):
    """The rate limit of one account, one for all workers."""

    async def acquire(self, most: int = 1) -> int:
        """Return how many calls may be made now, and count them: as many as the limit allows at this moment,
        at least one and at `most` so many. Waits for the first one only."""


class Ledger(Protocol):
    """Every method may also raise `HistoryChanged`, where a history is required: see `bound_to`."""

    @property
    def history(self) -> history.History | None:
        """The history of the server that answered last; `None` before the first answer."""

    async def lookup(self, commands: Sequence[Command]) -> Facts:
        """What is known of these commands, in one round trip."""

    async def record_intent(self, sender: UpcomingCall, intent: CreateIntent) -> bool:
        """Make it durable that a create is about to be sent. An earlier intent of the group is replaced.

        False, and nothing is changed: the partition has another owner since.
        """

    async def record_call(self, sender: UpcomingCall, doubts: Sequence[Doubt], now: float) -> bool:
        """Make it durable that these calls of the group may take effect for as long as they say.

        The call that is about to be sent is one of them. What was recorded of the group is replaced, and it
        ends with the settlement that says so, or with its time. The sender's `made`, if any, replaces the
        group's intent, if there is one still. False, and nothing is changed: the partition has another owner
        since.
        """

    async def read_previous_owner_state(self, partition: int) -> PreviousOwnerState:
        """What the partition's new owner has to know of the last one's calls."""

    async def delete_intent(self, ref: GroupRef, intent: CreateIntent) -> None:
        """The create of this very intent was answered, and made nothing. A later intent of `ref` stays."""

    async def acquire_lease(self, partition: int, owner: str, ttl_s: float, above: int = 0) -> int | None:
        """Become the partition's owner: the new epoch, or `None` while somebody else is.

        It is greater than every epoch that the ledger knows of, and than `above`: a ledger that has lost its
        last writes must not give an epoch of its lost history again.
        """

    async def renew_lease(self, partition: int, owner: str, epoch: int, ttl_s: float) -> bool:
        """Stay the owner for another `ttl_s`. False: somebody else was it since, or it was released."""

    async def release_lease(self, partition: int, owner: str, epoch: int) -> None:
        """Stop being the owner, so that whoever stands by takes over at once: this one ended well."""

    async def read_last_unit(self, partition: int) -> tuple[int, int]:
        """The epoch in force, and the serial of the last unit that was settled under it; 0 for none."""

    async def clear_loss(self, partition: int, epoch: int) -> None:
        """All that was lost is known again: see `Inheritance.lost_s`."""

    async def read_crash_record(self, partition: int) -> CrashRecord:
        """What is noted of the partition's crashes. An owner that goes without a release has crashed, as soon
        as another one has come."""

    async def write_crash_history(self, partition: int, epoch: int, history: History) -> bool:
        """It counts everything up to now, and nothing is in hand. False: somebody else is the owner since."""

    async def write_in_hand(self, partition: int, epoch: int, in_hand: InHand) -> bool:
        """These are in hand, and no others. False: somebody else is the owner since."""

    async def register(self, owner: str, partitions: int, ttl_s: float, since: int = 0) -> Seniority:
        """Count as alive for another `ttl_s`: a newcomer, unless it is known or was `since` then.

        Raises `OtherPartitions`, and changes nothing, when there are not so many.
        """

    async def unregister(self, owner: str) -> None:
        """Count as alive no longer."""

    async def read_owners(self, partitions: int) -> Sequence[str | None]:
        """Who has the lease of each partition."""

    async def read_partition_count(self) -> int | None:
        """How many there are; `None` before the first worker."""

    async def repartition(self, old: int | None, new: int) -> int | None:
        """Let there be `new` partitions where there were `old`: 0.

        Or what is in the way, and nothing is changed: so many live workers and owned partitions; `None`
        when there are not `old` any more.
        """

    def limiter(self, account: str, calls_per_second: float) -> Limiter:
        """The account's shared rate limit."""
