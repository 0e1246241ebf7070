"""What goes into the engine (events) and what comes out of it (effects).

Times are Unix seconds on a clock that never steps back; `jitter` is a number in [0, 1). The runtime
supplies both, so that a run of the engine is a function of its events alone.
"""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from numbergroup.engine.commands import (
    Command,
    CommandKey,
    CreateIntent,
    Fault,
    GroupRef,
    Outcome,
    Record,
    Refusal,
    SequenceKey,
)
from numbergroup.engine.doubt import Doubt
from numbergroup.engine.policy import BreakerNotice
from numbergroup.engine.precautions import Precautions
from numbergroup.engine.replays import LaterWrites


@dataclass(slots=True, frozen=True)
class Facts:
    """What the ledger knows of the commands of one delivery.

    `unreadable`: of these groups it knows something, and nobody can read it. `lettered`: of these it keeps
    letters, or some are tried again. `since`: by the groups of commands that are tried again, what was
    decided of their numbers while the group was lettered.
    """

    settled: Mapping[CommandKey, Record] = field(default_factory=dict)
    bindings: Mapping[GroupRef, str] = field(default_factory=dict)
    intents: Mapping[GroupRef, CreateIntent] = field(default_factory=dict)
    sequences: Mapping[SequenceKey, int] = field(default_factory=dict)
    unreadable: AbstractSet[GroupRef] = frozenset()
    with_dead_letters: AbstractSet[GroupRef] = frozenset()
    since: Mapping[GroupRef, LaterWrites] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Owned:
    """The partition is ours from here on: `doubts` are calls that its last owner may have sent, and that
    nobody has answered as far as the ledger knows, `attempted` commands with an expirytime that were in such
    a call, `quarantined` which groups' commands are put away. Before anything is delivered."""

    partition: int
    doubts: Mapping[GroupRef, Sequence[Doubt]]
    now: float
    attempted: Collection[CommandKey] = ()
    quarantined: Mapping[GroupRef, Fault] = field(default_factory=dict)
    quiet_until: float | None = None
    """Before that no call begins: the ledger has lost writes, and there may be calls in doubt of which
    nothing is known."""


@dataclass(slots=True)
class OpenCalls:
    """What only the engine knows of a partition's calls, in case that the ledger has lost it.

    `doubts`: calls that may take effect still; `intents`: creates that were sent, and are not settled;
    `attempted`: commands with an expirytime that may have been carried out. `closed`: groups of which the
    ledger may remember a call or a create that is over.
    """

    doubts: dict[GroupRef, Sequence[Doubt]] = field(default_factory=dict)
    intents: dict[GroupRef, CreateIntent] = field(default_factory=dict)
    attempted: dict[GroupRef, Sequence[CommandKey]] = field(default_factory=dict)
    closed: list[GroupRef] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Expected:
    """Commands of these groups are tried again: they are about to be looked up, and then delivered. What is
    decided of the groups from here on, the look-up may not know."""

    partition: int
    groups: Collection[GroupRef]


@dataclass(slots=True, frozen=True)
class Delivered:
    """Messages of one partition, decoded, in the broker's order.

    `uncertain_until`: an owner that died may have sent calls for them, also creates, of which the ledger
    knows nothing; later than that they take no effect.
    """

    partition: int
    items: Sequence[Command | Refusal]
    facts: Facts
    now: float
    uncertain_until: float | None = None


@dataclass(slots=True, frozen=True)
class Controls:
    """What operators and the other workers say: for which reason an account or a group is paused, which
    breakers are open; and how many dead letters there are."""

    paused_accounts: Mapping[str, str] = field(default_factory=dict)
    paused_groups: Mapping[GroupRef, str] = field(default_factory=dict)
    breakers: Mapping[str, BreakerNotice] = field(default_factory=dict)
    dead_letters: int = 0


@dataclass(slots=True, frozen=True)
class ControlsUpdated:
    """What is in force from here on: all of it, about once a second.

    `resumed`: accounts (by name) and groups that an operator has let go on since the last time, whether they
    were paused or not: whatever they wait for is over.
    """

    controls: Controls
    now: float
    jitter: float
    resumed: Collection[str | GroupRef] = ()


@dataclass(slots=True, frozen=True)
class CredentialsChanged:
    """The account's credentials were replaced: whatever pause a fault of the old ones began is over."""

    account: str
    now: float


@dataclass(slots=True, frozen=True)
class PermitGranted:
    """One call of the account may be made now: the answer to one `WantPermit`. `only`: no other group may
    use it; see `Engine.next_turn`."""

    account: str
    now: float
    probe: bool = False
    only: GroupRef | None = None


@dataclass(slots=True, frozen=True)
class ProbeDenied:
    """Another worker is probing the account: the other answer to a `WantPermit` for a probe."""

    account: str
    now: float
    jitter: float


@dataclass(slots=True, frozen=True)
class CallFinished:
    """The end of a `StartCall`. `doubt_until`: a request of it may still take effect until then."""

    call_id: int
    outcome: Outcome
    now: float
    jitter: float
    doubt_until: float | None = None


@dataclass(slots=True, frozen=True)
class PartitionLost:
    """The partition has another owner: forget everything about it."""

    partition: int


@dataclass(slots=True, frozen=True)
class PrecautionsChanged:
    """What the partition's batches must observe from here on, because workers crashed; `None`: nothing."""

    partition: int
    precautions: Precautions | None


@dataclass(slots=True, frozen=True)
class Tick:
    """Time has passed: the answer to `WakeAt`."""

    now: float


@dataclass(slots=True, frozen=True)
class Drain:
    """Start no more calls; those in flight finish. Of all partitions, or of one, until its `LeaseLost`."""

    partition: int | None = None


Event = (
    Owned
    | Expected
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
