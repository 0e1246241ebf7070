"""The words of the engine: commands, the groups they address, calls and their outcomes."""

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.results import Status

CRASHED = "crashed"
"""The kind of error of what was never refused: workers died of it."""


class CommandKey(NamedTuple):
    """Identifies a command for ever."""

    source: str
    id: str


class HandleKind(enum.StrEnum):
    ID = "id"
    """The vendor's groupId."""
    KEY = "key"
    """The producer's own groupKey."""
    OWN = "own"
    """No handle: a create without a key, or a list. The command is alone in its mailbox."""


class GroupRef(NamedTuple):
    """Names a mailbox: one group of one account, by the handle that producers use for it."""

    account: str
    kind: HandleKind
    name: str


class SequenceKey(NamedTuple):
    """Whose `sequence` of commands: they grow per source and group."""

    source: str
    group: GroupRef


class CommandKind(enum.IntEnum):
    """The first three are the vendor's `operateType`."""

    ADD = 0
    DELETE = 1
    REPLACE = 2
    CREATE = 3
    DELETE_GROUP = 4
    LIST = 5


@dataclass(slots=True, eq=False)
class Entry:
    """One message of the broker: it leaves the broker when the last command in it is settled.

    `tag` is the broker's own id of the message, `total` the number of events in it, `settled` the
    indexes of those that are settled already (from the broker's side record, after a crash).
    `reply_to` and `correlation_id` are properties of the message, for brokers that have such;
    `listed`: it came over a kombu list, and its answers go to one. `problem`: why it is refused
    whatever its body says, and `problem_kind` the kind of that error; `unread`: not even its beginning is
    looked at, for whom to answer. `void`: the broker will deliver it again, and then it is answered.
    """

    partition: int
    tag: str
    body: bytes
    is_array: bool = False
    total: int = 1
    settled: set[int] = field(default_factory=set)
    reply_to: str | None = None
    correlation_id: str | None = None
    listed: bool = False
    problem: str | None = None
    problem_kind: str = "invalid"
    unread: bool = False
    void: bool = False


@dataclass(slots=True, frozen=True)
class Origin:
    """Where a command came from, and so where its answer goes: `index` is its place in the entry."""

    entry: Entry
    index: int
    reply_to: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None


@dataclass(slots=True, eq=False)
class Command:
    """A command that intake found well-formed.

    `fingerprint` tells whether a second command under the same key says the same. `origins` has
    more than one member when the same command arrived again before it was settled.
    `expires_at` is in Unix seconds. The engine fills in `arrival` (its place in the order of all
    deliveries), `attempted` (a call that carries it may have taken effect) and `stale` (its source has
    sent a later word on the group before: its `sequence` says so).
    """

    key: CommandKey
    type: str
    kind: CommandKind
    group: GroupRef
    numbers: tuple[str, ...]
    fingerprint: str
    origins: list[Origin]
    expires_at: float | None = None
    number_expiry: float | None = None
    group_name: str | None = None
    remark: str | None = None
    limit: int = 0
    offset: int = 0
    sequence: int | None = None
    arrival: int = 0
    attempted: bool = False
    stale: bool = False


@dataclass(slots=True, frozen=True)
class Refusal:
    """What intake could not take for a command.

    `key` is there when `(source, id)` could be read; then a result is owed, with that `status`.
    """

    origin: Origin
    message: str
    body: bytes
    key: CommandKey | None = None
    type: str | None = None
    account: str | None = None
    kind: str = "invalid"
    status: Status = Status.REJECTED


class CallKind(enum.StrEnum):
    CREATE = "create"
    ADD = "add"
    DELETE = "delete"
    REPLACE = "replace"
    DELETE_GROUP = "delete-group"
    LIST = "list"
    FIND_CREATED = "find-created"
    """Look through all groups for the one that an earlier, unanswered create may have made."""
    READ_MEMBERS = "read-members"
    """Look through all groups for this one's members."""


CHANGING = frozenset({CallKind.ADD, CallKind.DELETE, CallKind.REPLACE, CallKind.DELETE_GROUP})
"""What changes a group that is there."""


@dataclass(slots=True, frozen=True)
class Call:
    """One request to the vendor (the last two kinds: as many as there are pages)."""

    kind: CallKind
    numbers: tuple[str, ...] = ()
    group_id: str | None = None
    group_name: str | None = None
    remark: str | None = None
    marker: str | None = None
    limit: int = 0
    offset: int = 0


@dataclass(slots=True, frozen=True)
class Group:
    """A group as the vendor lists it."""

    group_id: str
    name: str
    remark: str
    numbers: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class Applied:
    """The vendor carried the call out. For the looking kinds `groups` is what was found."""

    request_id: str | None
    group_id: str | None = None
    groups: tuple[Group, ...] | None = None
    total: int | None = None


@dataclass(slots=True, frozen=True)
class Refused:
    """The vendor will not do this call, however often it is asked (as far as `certain` says)."""

    code: str | None
    message: str
    request_id: str | None = None
    certain: bool = True


@dataclass(slots=True, frozen=True)
class Throttled:
    """The vendor asks for fewer calls: none before `retry_after_s`, when it said so."""

    retry_after_s: float | None
    code: str | None
    message: str


@dataclass(slots=True, frozen=True)
class Unavailable:
    """No usable answer. `in_doubt`: the vendor may have applied the call, or may yet."""

    message: str
    in_doubt: bool
    code: str | None = None


@dataclass(slots=True, frozen=True)
class AccountFault:
    """The account's credentials or permissions are wrong: no call of it can work."""

    code: str | None
    message: str


@dataclass(slots=True, frozen=True)
class Withheld:
    """The call was not sent: the worker is stopping, or its lease would not outlive the call."""


Outcome = Applied | Refused | Throttled | Unavailable | AccountFault | Withheld


@dataclass(slots=True, frozen=True)
class CreateIntent:
    """That a create is about to be sent, recorded in the ledger before it is.

    `marker` is in the remark of the group that it makes, where the account allows one; else the
    group is known by `name` and `numbers_digest`, and by `group_id` once it was made and more was
    sent to it. After `settled_after` (Unix seconds) the vendor can no longer accept the request, so that
    absence is proof.
    """

    marker: str | None
    name: str | None
    numbers_digest: str
    settled_after: float
    group_id: str | None = None


@dataclass(slots=True, frozen=True)
class Fault:
    """The `error` of a result."""

    kind: str
    code: str | None
    message: str


@dataclass(slots=True, frozen=True)
class Record:
    """What is remembered of a settled command, so that a repeat gets the first answer."""

    fingerprint: str
    status: Status
    group_id: str | None
    request_ids: tuple[str, ...]
    merged: int
    fault: Fault | None
    dead_letter_id: str | None
    settled_at: float


@dataclass(slots=True, frozen=True)
class Verdict:
    """What became of a command: the input of settling.

    `repeat_of` is set when the answer is an earlier one; `conflict` when another command was
    settled under the same key, and this one was not applied because of it.
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
