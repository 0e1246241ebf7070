"""What goes into the engine (events) and what comes out of it (effects).

Times are Unix seconds on a clock that never steps back; `jitter` is a number in [0, 1). The runtime
supplies both, so that a run of the engine is a function of its events alone.
"""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from worker.engine.doubt import Doubt
from worker.engine.model import (
    Call,
    Command,
    CommandKey,
    CreateIntent,
    GroupRef,
    Outcome,
    Record,
    Refusal,
    SequenceKey,
    Verdict,
)


@dataclass(slots=True, frozen=True)
class Facts:
    """What the ledger knows of the commands of one delivery.

    `unreadable`: of these groups it knows something, and nobody can read it.
    """

    settled: Mapping[CommandKey, Record] = field(default_factory=dict)
    bindings: Mapping[GroupRef, str] = field(default_factory=dict)
    intents: Mapping[GroupRef, CreateIntent] = field(default_factory=dict)
    sequences: Mapping[SequenceKey, int] = field(default_factory=dict)
    unreadable: AbstractSet[GroupRef] = frozenset()


@dataclass(slots=True, frozen=True)
class Owned:
    """The partition is ours from here on: `doubts` are calls that its last owner may have sent, and that
    nobody has answered as far as the ledger knows, `attempted` commands with an expirytime that were in such
    a call. Before anything is delivered."""

    partition: int
    doubts: Mapping[GroupRef, Sequence[Doubt]]
    now: float
    attempted: Collection[CommandKey] = ()


@dataclass(slots=True, frozen=True)
class Delivered:
    """Messages of one partition, decoded, in the broker's order."""

    partition: int
    items: Sequence[Command | Refusal]
    facts: Facts
    now: float


@dataclass(slots=True, frozen=True)
class PermitGranted:
    """One call of the account may be made now: the answer to one `WantPermit`."""

    account: str
    now: float


@dataclass(slots=True, frozen=True)
class CallFinished:
    """The end of a `StartCall`. `doubt_until`: a request of it may still take effect until then."""

    call_id: int
    outcome: Outcome
    now: float
    jitter: float
    doubt_until: float | None = None


@dataclass(slots=True, frozen=True)
class LeaseLost:
    """The partition has another owner: forget everything about it."""

    partition: int


@dataclass(slots=True, frozen=True)
class Tick:
    """Time has passed: the answer to `WakeAt`."""

    now: float


@dataclass(slots=True, frozen=True)
class Drain:
    """Start no more calls; those in flight finish. Of all partitions, or of one, until its `LeaseLost`."""

    partition: int | None = None


Event = Owned | Delivered | PermitGranted | CallFinished | LeaseLost | Tick | Drain


@dataclass(slots=True, frozen=True)
class WantPermit:
    """Ask the account's rate limiter for one permit."""

    account: str


@dataclass(slots=True, frozen=True)
class StartCall:
    """Make the call and report its end under `call_id`.

    Before each request of a call that changes something, it must be durable in the ledger under `ref` that
    it may be sent, and the group's `doubts`, and the keys of its `perishable` commands, too: a successor has
    to know them; and the intent `made`, if there is one. For a `CREATE` that is its intent, and before that
    every `Settle` that came earlier: one of them may close the intent of the group's last create.
    """

    call_id: int
    partition: int
    ref: GroupRef
    call: Call
    doubts: Sequence[Doubt] = ()
    perishable: Sequence[CommandKey] = ()
    made: CreateIntent | None = None


@dataclass(slots=True, frozen=True)
class Settle:
    """Make answers durable, in order, as decided at `at` (Unix seconds). `bindings` are groupKeys learnt
    (or, with `None`, ended); `intents_done` the creates that are no longer open; `calls_done` the groups
    none of whose calls is in doubt any more, up to the call that is named. There may be no verdict."""

    partition: int
    verdicts: Sequence[Verdict | Refusal]
    at: float
    bindings: Mapping[GroupRef, str | None] = field(default_factory=dict)
    intents_done: Sequence[GroupRef] = ()
    calls_done: Sequence[tuple[GroupRef, int]] = ()


@dataclass(slots=True, frozen=True)
class WakeAt:
    """Send a `Tick` at that time. A later `WakeAt` replaces an earlier one."""

    when: float


Effect = WantPermit | StartCall | Settle | WakeAt
