"""Next steps: what the engine does next with a group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numbergroup.engine.calls import Call
from numbergroup.engine.commands import GroupRef
from numbergroup.engine.doubt import CreateIntent
from numbergroup.engine.group.lifecycle import Batch
from numbergroup.engine.verdicts import Verdict


@dataclass(slots=True, frozen=True)
class Send:
    """Start this call of the batch now.

    `created_group` replaces, in the ledger, the intent of a create that is not settled yet.
    """

    batch: Batch
    call: Call
    created_group: CreateIntent | None = None


@dataclass(slots=True, frozen=True)
class Queue:
    """Queue the group for a permit: with the rest of a batch, or to form a new one."""

    batch: Batch | None = None


@dataclass(slots=True, frozen=True)
class Park:
    """Do nothing with the group until then (Unix seconds).

    Without a batch, the commands return to the queue, so that newer commands can merge with them.
    """

    until: float
    batch: Batch | None = None


@dataclass(slots=True, frozen=True)
class Finish:
    """Settle the batch with these verdicts.

    `bindings`: group keys to bind to an id (`None`: to free). `intents_done`: creates that are no longer
    open.
    """

    batch: Batch
    verdicts: Sequence[Verdict]
    bindings: Mapping[GroupRef, str | None] = field(default_factory=dict)
    intents_done: Sequence[GroupRef] = ()


NextStep = Send | Queue | Park | Finish
"""The step that follows a permit or an outcome. Only `next_step` returns `Send`."""
