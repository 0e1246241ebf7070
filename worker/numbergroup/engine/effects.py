"""Effects: the outputs of the engine, which its runtime carries out in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numbergroup.engine.calls import Call
from numbergroup.engine.commands import CommandKey, GroupRef
from numbergroup.engine.doubt import CreateIntent, Doubt
from numbergroup.engine.policy import BreakerNotice
from numbergroup.engine.verdicts import Fault, Refusal, Verdict


@dataclass(slots=True, frozen=True)
class WantPermit:
    """Asks the account's rate limiter for one permit.

    Only one worker may probe an account at a time. A `probe` permit holds until the `StartCall` with `probe`
    has ended, or until the permit is returned unused.
    """

    account: str
    probe: bool = False


@dataclass(slots=True, frozen=True)
class PublishBreaker:
    """Publishes the state of the account's breaker to the other workers. `None`: it is no longer open."""

    account: str
    notice: BreakerNotice | None


@dataclass(slots=True, frozen=True)
class StartCall:
    """Makes a vendor call. Its end is reported by `CallFinished` with the same `call_id`.

    Before each request of a changing call, the ledger must durably store under `ref`, for the next owner:

    - that the call may be sent, and the group's other `doubts`;
    - `expirable_keys`: the keys of its commands that have an expirytime;
    - `created_group`, if set. For a `CREATE` this is its own intent. All earlier `Settle`s must be durable
      before it, because one of them may close the intent of the group's previous create.

    A `probe` tests whether the vendor works again: it is one request without retries.
    `digests` identify the batch's commands if there are precautions. `place` is the call's index in the
    batch.
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
class GroupDecisions:
    """What a batch has decided about its group, for replays of older commands.

    `numbers`: each number (or `NAME`, `REMARK`), whether it is now in the group (`True` for texts), and the
    index of the deciding verdict. `everything`: the index of the verdict that decided all other numbers.
    """

    ref: GroupRef
    everything: int | None
    numbers: Sequence[tuple[str, bool, int]]


@dataclass(slots=True, frozen=True)
class Settle:
    """Makes results durable, in order. `settled_at` is their time, in Unix seconds.

    - `verdicts`: may be empty.
    - `bindings`: new groupIds of groupKeys; `None` removes the binding.
    - `intents_done`: groups whose create is no longer open.
    - `calls_done`: groups whose calls, up to the given `call_id`, are no longer in doubt.
    - `decisions`: set only if the group may have dead letters.
    - `quarantined`: groups whose commands are dead-lettered from now on, under any owner, and why; `None`
      ends the quarantine.
    """

    partition: int
    verdicts: Sequence[Verdict | Refusal]
    settled_at: float
    bindings: Mapping[GroupRef, str | None] = field(default_factory=dict)
    intents_done: Sequence[GroupRef] = ()
    calls_done: Sequence[tuple[GroupRef, int]] = ()
    decisions: GroupDecisions | None = None
    quarantined: Mapping[GroupRef, Fault | None] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class WakeAt:
    """Asks for a `Tick` at this time (Unix seconds). Replaces the previous `WakeAt`."""

    when: float


Effect = WantPermit | StartCall | Settle | PublishBreaker | WakeAt
