"""Types for what becomes of a command: its verdict, its record, and why it failed."""

from dataclasses import dataclass, field
from typing import NamedTuple

from numbergroup.engine.calls import Group
from numbergroup.engine.commands import Command, CommandKey, GroupRef, Origin
from numbergroup_contracts.results import Status

CRASHED = "crashed"
"""The error kind of a message or command that crashed workers repeatedly."""


QUARANTINED = "quarantined"
"""The error kind of a command that was dead-lettered because its group is quarantined."""


@dataclass(slots=True, frozen=True)
class Refusal:
    """An event that is not a valid command.

    `key` is set if `(source, id)` can be read; then the producer gets a result with this `status`. `group` is
    set if it is known.
    """

    origin: Origin
    message: str
    body: bytes
    key: CommandKey | None = None
    type: str | None = None
    account: str | None = None
    kind: str = "invalid"
    status: Status = Status.REJECTED
    group: GroupRef | None = None


@dataclass(slots=True, frozen=True)
class Fault:
    """The `error` of a result: its kind, the vendor's code, and a message."""

    kind: str
    code: str | None
    message: str


class Record(NamedTuple):
    """What the ledger keeps of a settled command, so that a repeat gets the first answer.

    `replays`: how often the command was replayed before. `rejected`, `vendor`: see `Verdict`.
    """

    fingerprint: str
    status: Status
    group_id: str | None
    request_ids: tuple[str, ...]
    merged: int
    fault: Fault | None
    dead_letter_id: str | None
    settled_at: float
    replays: int = 0
    rejected: tuple[str, ...] = ()
    vendor: bytes | None = None


@dataclass(slots=True)
class Verdict:
    """The outcome of a command, ready to be settled.

    - `repeat_of`: the record of the first result, if the command is a repeat.
    - `conflict`: a different command was settled under the same key, so this one was not applied.
    - `rejected`: the numbers that this command decided and the vendor rejected.
    - `vendor`: additional data from the vendor's answers, as JSON; see `calls.Details`.
    - `record`: set by `records.build_record`, once.
    """

    command: Command
    status: Status
    group_id: str | None = None
    request_ids: tuple[str, ...] = ()
    merged: int = 0
    fault: Fault | None = None
    groups: tuple[Group, ...] | None = None
    total: int | None = None
    repeat_of: Record | None = None
    conflict: bool = False
    rejected: tuple[str, ...] = ()
    vendor: bytes | None = None
    record: Record | None = field(default=None, init=False, compare=False)
