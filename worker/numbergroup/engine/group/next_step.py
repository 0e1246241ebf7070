"""What to do next with a mailbox, as values: the engine acts on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numbergroup.engine.commands import Call, CreateIntent, GroupRef, Verdict


@dataclass(slots=True, frozen=True)
class Send:
    """Make this call now. `made` replaces the intent of a create that is not settled, where there is one."""

    call: Call
    created_group: CreateIntent | None = None


@dataclass(slots=True, frozen=True)
class Queue:
    """Let it wait for its turn."""


@dataclass(slots=True, frozen=True)
class Park:
    """Leave it alone until then (Unix seconds)."""

    until: float


@dataclass(slots=True, frozen=True)
class Finish:
    """Settle its batch with these verdicts."""

    verdicts: Sequence[Verdict]
    bindings: Mapping[GroupRef, str | None] = field(default_factory=dict)
    intents_done: Sequence[GroupRef] = ()


NextStep = Send | Queue | Park | Finish
"""What a turn may end in. Only `next_step` says `Send`."""
