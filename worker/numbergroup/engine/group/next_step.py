"""Next steps: what the engine does next with a group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numbergroup.engine.commands import Call, CreateIntent, GroupRef, Verdict


@dataclass(slots=True, frozen=True)
class Send:
    """Start this call now.

    `created_group` replaces, in the ledger, the intent of a create that is not settled yet.
    """

    call: Call
    created_group: CreateIntent | None = None


@dataclass(slots=True, frozen=True)
class Queue:
    """Queue the group for a permit."""


@dataclass(slots=True, frozen=True)
class Park:
    """Do nothing with the group until then (Unix seconds)."""

    until: float


@dataclass(slots=True, frozen=True)
class Finish:
    """Settle the group's batch with these verdicts.

    `bindings`: group keys to bind to an id (`None`: to free). `intents_done`: creates that are no longer
    open.
    """

    verdicts: Sequence[Verdict]
    bindings: Mapping[GroupRef, str | None] = field(default_factory=dict)
    intents_done: Sequence[GroupRef] = ()


NextStep = Send | Queue | Park | Finish
"""The step that follows a permit or an outcome. Only `next_step` returns `Send`."""
