"""The words of the engine: commands, the groups they address, and what becomes of them."""

import enum
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import attrgetter
from typing import Final, NamedTuple

from numbergroup.engine.replays import Replay, RetryHistory
from numbergroup_contracts.results import Status

# Handed on, so that importers need not know which words are where.
# isort: off
from numbergroup.engine.calls import (
    CHANGING as CHANGING,
    UPDATES as UPDATES,
    AccountFault as AccountFault,
    Applied as Applied,
    Call as Call,
    CallKind as CallKind,
    Details as Details,
    Group as Group,
    Outcome as Outcome,
    Refused as Refused,
    Throttled as Throttled,
    Unavailable as Unavailable,
    Withheld as Withheld,
)
# isort: on

# Makes a NamedTuple in a third of the time that its own constructor takes.
tuple_of: Final = tuple.__new__

CRASHED = "crashed"
"""The kind of error of what was never refused: workers died of it."""

QUARANTINED = "quarantined"
"""The kind of error of what was put away because its group is stuck, and too much waits for it."""


class CommandKey(NamedTuple):
    """Identifies a command for ever."""

    source: str
    id: str

    def digest(self) -> str:
        """Names the command's record, and the answer to it. 96 bits: no two of 10^9 commands share it by
        chance."""
        return blake2b(f"{self.source}\0{self.id}".encode(), digest_size=12).hexdigest()


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
    RENAME = 6


# Up to Python 3.11 to name a member by its class takes ten times as long: for what is asked of every command.
ADD, DELETE, REPLACE, CREATE, DELETE_GROUP, LIST, RENAME = CommandKind

ALL_NUMBERS = (REPLACE, DELETE_GROUP)
"""What becomes of these depends on numbers that they do not name."""


NAME: Final = "name"
REMARK: Final = "remark"
"""A group's texts: where numbers are named by themselves (what was decided of each), these are named so."""

TEXTS: Final = (NAME, REMARK)


_THE_ONLY_ONE = frozenset({0})


@dataclass(slots=True, eq=False)
class Entry:
    """One message of the broker: it leaves the broker when the last command in it is settled.

    `tag` is the broker's own id of the message, `total` the number of events in it, `settled` the
    indexes of those that are settled already (from the broker's side record, after a crash).
    `reply_to` and `correlation_id` are properties of the message, for brokers that have such;
    `listed`: it came over a kombu list, and its answers go to one. `problem`: why it is refused
    whatever its body says, and `problem_kind` the kind of that error; `unread`: not even its beginning is
    looked at, for whom to answer. `void`: the broker will deliver it again, and then it is answered.
    `replay`: an operator lets it be tried again. `name` names its dead letters, where it is not the tag:
    messages with equal bytes and properties share it. `stray`: the queue that it was published to, where
    that is none of any partition's.
    """

    partition: int
    tag: str
    body: bytes
    is_array: bool = False
    total: int = 1
    settled: AbstractSet[int] = frozenset()
    reply_to: str | None = None
    correlation_id: str | None = None
    listed: bool = False
    problem: str | None = None
    problem_kind: str = "invalid"
    unread: bool = False
    void: bool = False
    replay: Replay | None = None
    name: str | None = None
    stray: str | None = None

    def mark(self, index: int) -> None:
        """That event is settled."""
        if self.total == 1 and not index:
            self.settled = _THE_ONLY_ONE
        elif isinstance(self.settled, set):
            self.settled.add(index)
        else:
            # Made when it is needed: as large as all else here, for each message that waits.
            self.settled = {*self.settled, index}


@dataclass(slots=True, eq=False)
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
    deliveries) and `arrived_at` (when, in Unix seconds), `attempted` (a call that carries it may have taken
    effect) and `stale` (its source has sent a later word on the group before: its `sequence` says so), and
    `past` of one that fails. `digest` is its key's: it is needed three times. `written`: how the producer
    wrote its numbers, if not all in the spelling that they are merged by.
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
    sequence: int | None = None
    group_name: str | None = None
    remark: str | None = None
    limit: int = 0
    offset: int = 0
    arrival: int = 0
    arrived_at: float = 0.0
    attempted: bool = False
    stale: bool = False
    past: RetryHistory | None = None
    written: Mapping[str, str] | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        self.digest = self.key.digest()

    @property
    def names(self) -> tuple[str, ...]:
        """Which of a group's texts a rename sets: `NAME`, `REMARK`."""
        if self.kind is not RENAME:
            return ()
        return (NAME,) * (self.group_name is not None) + (REMARK,) * (self.remark is not None)

    @property
    def decides(self) -> tuple[str, ...]:
        """What it has the last word on, until a later command decides it anew: numbers, or texts."""
        return self.numbers or self.names

    def text(self, name: str) -> str | None:
        """What it sets this one of a group's texts to."""
        return self.group_name if name == NAME else self.remark

    def spell(self, one_spelling: Callable[[str], str]) -> None:
        """Have each number in the spelling that the vendor's several come to."""
        spelt = tuple(map(one_spelling, self.numbers))
        if spelt != self.numbers:
            self.written = dict(zip(reversed(spelt), reversed(self.numbers), strict=True))
            self.numbers = tuple(dict.fromkeys(spelt))

    def as_written(self, numbers: Sequence[str]) -> tuple[str, ...]:
        """These numbers of it as its producer wrote them."""
        return tuple(numbers if self.written is None else (self.written[number] for number in numbers))


is_stale: Final = attrgetter("stale")
"""Whether a command is."""


@dataclass(slots=True, frozen=True)
class Refusal:
    """What intake could not take for a command.

    `key` is there when `(source, id)` could be read; then a result is owed, with that `status`; `group`,
    where it is known.
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


class Record(NamedTuple):
    """What is remembered of a settled command, so that a repeat gets the first answer. `replays`: how often
    it was tried again before; `rejected`, `vendor`: see `Verdict`."""

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
    """What became of a command: the input of settling.

    `repeat_of` is set when the answer is an earlier one; `conflict` when another command was
    settled under the same key, and this one was not applied because of it. `rejected`: the numbers that were
    its own to decide, and that the vendor did not take. `vendor`: what the vendor said beyond all that, as
    the result has it (JSON; see `details`). `record` is made once; see `records.record_of`.
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
