"""What goes into the engine (events) and what comes out of it (effects).

Times are Unix seconds on a clock that never steps back; `jitter` is a number in [0, 1). The runtime
supplies both, so that a run of the engine is a function of its events alone.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from worker.engine.model import (
    Call,
    Command,
    CommandKey,
    CreateIntent,
    GroupRef,
    Outcome,
    Record,
    Refusal,
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
    unreadable: AbstractSet[GroupRef] = frozenset()


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


Event = Delivered | PermitGranted | CallFinished | LeaseLost | Tick | Drain


@dataclass(slots=True, frozen=True)
class WantPermit:
    """Ask the account's rate limiter for one permit."""

    account: str


@dataclass(slots=True, frozen=True)
class StartCall:
    """Make the call and report its end under `call_id`.

    Before each request of a `CREATE`, its intent must be durable in the ledger under `ref`, and before
    that every `Settle` that came earlier: one of them may close the intent of the group's last create.
    """

    call_id: int
    partition: int
    ref: GroupRef
    call: Call


@dataclass(slots=True, frozen=True)
class Settle:
    """Make answers durable, in order, as decided at `at` (Unix seconds). `bindings` are groupKeys learnt
    (or, with `None`, ended); `intents_done` the creates that are no longer open."""

    partition: int
    verdicts: Sequence[Verdict | Refusal]
    at: float
    bindings: Mapping[GroupRef, str | None] = field(default_factory=dict)
    intents_done: Sequence[GroupRef] = ()


@dataclass(slots=True, frozen=True)
class WakeAt:
    """Send a `Tick` at that time. A later `WakeAt` replaces an earlier one."""

    when: float


Effect = WantPermit | StartCall | Settle | WakeAt
