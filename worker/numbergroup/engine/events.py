"""Events: the inputs of the engine.

Times are Unix seconds on a clock that never goes back. `jitter` is a random number in [0, 1). The runtime
supplies both, so the engine's effects depend on its events alone.
"""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from numbergroup.engine.calls import Outcome
from numbergroup.engine.commands import Command, CommandKey, GroupRef, SequenceKey
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.policy import BreakerNotice
from numbergroup.engine.precautions import Precautions
from numbergroup.engine.replays import LaterWrites
from numbergroup.engine.verdicts import Fault, Record, Refusal


@dataclass(slots=True, frozen=True)
class LookupResult:
    """What the ledger stores about the commands of one delivery, and about their groups.

    - `settled`: the records of commands that were settled before.
    - `bindings`: the groupIds of groupKeys.
    - `intents`: creates that were sent and are not settled.
    - `sequences`: the highest `sequence` that was accepted.
    - `unreadable`: groups whose stored data cannot be parsed.
    - `with_dead_letters`: groups that have dead letters, or dead letters under replay.
    - `later_writes`: for groups of replayed commands, what was decided after these commands were
      dead-lettered.
    """

    settled: Mapping[CommandKey, Record] = field(default_factory=dict)
    bindings: Mapping[GroupRef, str] = field(default_factory=dict)
    intents: Mapping[GroupRef, CreateIntent] = field(default_factory=dict)
    sequences: Mapping[SequenceKey, int] = field(default_factory=dict)
    unreadable: AbstractSet[GroupRef] = frozenset()
    with_dead_letters: AbstractSet[GroupRef] = frozenset()
    later_writes: Mapping[GroupRef, LaterWrites] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class PartitionAcquired:
    """This worker owns the partition from now on. Comes before the partition's first `Delivered`.

    - `doubts`: calls of the previous owner that have no recorded answer.
    - `attempted`: commands with an expirytime that were in such a call.
    - `quarantined`: groups whose commands are dead-lettered, and why.
    - `quiet_until`: no call begins before this time. Set if the ledger lost writes: there may be calls in
      doubt that it no longer knows.
    """

    partition: int
    doubts: Mapping[GroupRef, Sequence[Doubt]]
    now: float
    attempted: Collection[CommandKey] = ()
    quarantined: Mapping[GroupRef, Fault] = field(default_factory=dict)
    quiet_until: float | None = None


@dataclass(slots=True)
class OpenCalls:
    """The engine's knowledge of a partition's calls, to restore it in a ledger that lost writes.

    - `doubts`: calls that may still take effect.
    - `intents`: creates that were sent and are not settled.
    - `attempted`: commands with an expirytime that may have been carried out.
    - `closed`: groups for which the ledger may still store a call or a create that has ended.
    """

    doubts: dict[GroupRef, Sequence[Doubt]] = field(default_factory=dict)
    intents: dict[GroupRef, CreateIntent] = field(default_factory=dict)
    attempted: dict[GroupRef, Sequence[CommandKey]] = field(default_factory=dict)
    closed: list[GroupRef] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class ReplaysExpected:
    """Commands of these groups are being replayed: they are looked up next, and then delivered.

    From now on the engine collects what is decided for these groups, since the lookup may miss it.
    """

    partition: int
    groups: Collection[GroupRef]


@dataclass(slots=True, frozen=True)
class Delivered:
    """Decoded messages of one partition, in the broker's order.

    `uncertain_until`: a crashed owner may have sent calls for them that the ledger does not know, including
    creates. Such calls can take effect until then.
    """

    partition: int
    items: Sequence[Command | Refusal]
    facts: LookupResult
    now: float
    uncertain_until: float | None = None


@dataclass(slots=True, frozen=True)
class Controls:
    """The controls in force: pauses with their reasons, open breakers, and the number of dead letters."""

    paused_accounts: Mapping[str, str] = field(default_factory=dict)
    paused_groups: Mapping[GroupRef, str] = field(default_factory=dict)
    breakers: Mapping[str, BreakerNotice] = field(default_factory=dict)
    dead_letters: int = 0


@dataclass(slots=True, frozen=True)
class ControlsUpdated:
    """Replaces the complete set of controls, about once a second.

    `resumed`: accounts (by name) and groups that an operator has resumed since the last event. They stop
    waiting at once, even if they were not paused.
    """

    controls: Controls
    now: float
    jitter: float
    resumed: Collection[str | GroupRef] = ()


@dataclass(slots=True, frozen=True)
class CredentialsChanged:
    """The account's credentials were replaced: a pause that the old ones caused ends."""

    account: str
    now: float


@dataclass(slots=True, frozen=True)
class PermitGranted:
    """Allows one call of the account now. Answers one `WantPermit`.

    `reserved_for`: the only group that may use the permit; see `Engine.next_turn`.
    """

    account: str
    now: float
    probe: bool = False
    reserved_for: GroupRef | None = None


@dataclass(slots=True, frozen=True)
class ProbeDenied:
    """Denies a `WantPermit` for a probe, because another worker is probing the account."""

    account: str
    now: float
    jitter: float


@dataclass(slots=True, frozen=True)
class CallFinished:
    """Reports the outcome of a `StartCall`. Until `doubt_until` one of its requests may still take effect."""

    call_id: int
    outcome: Outcome
    now: float
    jitter: float
    doubt_until: float | None = None


@dataclass(slots=True, frozen=True)
class PartitionLost:
    """Another worker owns the partition: the engine drops all its state."""

    partition: int


@dataclass(slots=True, frozen=True)
class PrecautionsChanged:
    """Sets the limits for the partition's batches after crashes of workers. `None` lifts them."""

    partition: int
    precautions: Precautions | None


@dataclass(slots=True, frozen=True)
class Tick:
    """Answers `WakeAt`: the time has come."""

    now: float


@dataclass(slots=True, frozen=True)
class Drain:
    """Stops new calls of one partition until its `PartitionLost`, or of all. Calls in flight finish."""

    partition: int | None = None


Event = (
    PartitionAcquired
    | ReplaysExpected
    | Delivered
    | PermitGranted
    | ProbeDenied
    | CallFinished
    | ControlsUpdated
    | CredentialsChanged
    | PartitionLost
    | PrecautionsChanged
    | Tick
    | Drain
)
