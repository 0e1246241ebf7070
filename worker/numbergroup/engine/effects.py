"""Effects: what the engine asks its runtime to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numbergroup.engine.commands import (
    Call,
    CommandKey,
    CreateIntent,
    Fault,
    GroupRef,
    Refusal,
    Verdict,
)
from numbergroup.engine.doubt import Doubt
from numbergroup.engine.policy import BreakerNotice


@dataclass(slots=True, frozen=True)
class WantPermit:
    """Ask the account's rate limiter for one permit.

    For a `probe`, only one worker may be probing the account at a time: until the `StartCall` that says so
    has ended, or the permit was used for none.
    """

    account: str
    probe: bool = False


@dataclass(slots=True, frozen=True)
class TellBreaker:
    """Let the other workers know how the account's breaker stands; `None`: not open any more."""

    account: str
    notice: BreakerNotice | None


@dataclass(slots=True, frozen=True)
class StartCall:
    """Make the call and report its end under `call_id`.

    Before each request of a call that changes something, it must be durable in the ledger under `ref` that
    it may be sent, and the group's `doubts`, and the keys of its `perishable` commands, too: a successor has
    to know them; and the intent `made`, if there is one. For a `CREATE` that is its intent, and before that
    every `Settle` that came earlier: one of them may close the intent of the group's last create.

    A `probe` finds out whether the vendor works again: it is one request, and is not tried anew.
    `digests` identify the batch's commands, if there are precautions, and `place` is the call's in the batch.
    """

    call_id: int
    partition: int
    ref: GroupRef
    call: Call
    doubts: Sequence[Doubt] = ()
    expirable_keys: Sequence[CommandKey] = ()
    created_group: CreateIntent | None = None
    probe: bool = False
    digests: Sequence[str] = ()
    place: int = 0


@dataclass(slots=True, frozen=True)
class Decided:
    """What a batch has decided of a group: numbers, whether they are in it now, and by which of the verdicts
    (its place among them); so, too, its texts that a rename has set (`NAME`, `REMARK`: they are `True`).
    `everything`: by which one all others."""

    ref: GroupRef
    everything: int | None
    numbers: Sequence[tuple[str, bool, int]]


@dataclass(slots=True, frozen=True)
class Settle:
    """Make answers durable, in order, as decided at `at` (Unix seconds). `bindings` are groupKeys learnt
    (or, with `None`, ended); `intents_done` the creates that are no longer open; `calls_done` the groups
    none of whose calls is in doubt any more, up to the call that is named. There may be no verdict.
    `decided`: only where letters of the group may be kept. `quarantined`: from here on, the commands of these
    groups are put away (or, with `None`, no longer), whoever owns the partition."""

    partition: int
    verdicts: Sequence[Verdict | Refusal]
    at: float
    bindings: Mapping[GroupRef, str | None] = field(default_factory=dict)
    intents_done: Sequence[GroupRef] = ()
    calls_done: Sequence[tuple[GroupRef, int]] = ()
    decided: Decided | None = None
    quarantined: Mapping[GroupRef, Fault | None] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class WakeAt:
    """Send a `Tick` at that time. A later `WakeAt` replaces an earlier one."""

    when: float


Effect = WantPermit | StartCall | Settle | TellBreaker | WakeAt
