"""The engine's data types: messages, commands, and the groups that they address."""

import enum
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import attrgetter
from typing import Final, NamedTuple

from numbergroup.engine.replays import Replay, RetryHistory

# Builds a NamedTuple three times faster than its own constructor.
build_tuple: Final = tuple.__new__


class CommandKey(NamedTuple):
    """Identifies a command permanently: the `source` and `id` of its event."""

    source: str
    id: str

    def digest(self) -> str:
        """Return a name for the command's record and its first result: 24 hex digits.

        With 96 bits, a collision among 10^9 commands is practically impossible.
        """
        return blake2b(f"{self.source}\0{self.id}".encode(), digest_size=12).hexdigest()


class HandleKind(enum.StrEnum):
    """How a command addresses its group."""

    ID = "id"
    """The vendor's groupId."""
    KEY = "key"
    """The producer's own groupKey."""
    OWN = "own"
    """No handle: a create without a groupKey, or a list. The command has a group state of its own."""


class GroupRef(NamedTuple):
    """Identifies a group: its account, and the handle that producers use for it."""

    account: str
    kind: HandleKind
    name: str


class SequenceKey(NamedTuple):
    """Identifies a series of `sequence` numbers: they grow per source and group."""

    source: str
    group: GroupRef


class CommandKind(enum.IntEnum):
    """What a command asks for. The first three values equal the vendor's `operateType`."""

    ADD = 0
    DELETE = 1
    REPLACE = 2
    CREATE = 3
    DELETE_GROUP = 4
    LIST = 5
    RENAME = 6


# Module constants for hot paths: up to Python 3.11, `CommandKind.ADD` takes ten times as long to read.
ADD, DELETE, REPLACE, CREATE, DELETE_GROUP, LIST, RENAME = CommandKind

WHOLE_GROUP_KINDS = (REPLACE, DELETE_GROUP)
"""Commands that also decide numbers which they do not name."""


NAME: Final = "name"
REMARK: Final = "remark"
"""Keys of a group's texts. They stand beside phone numbers as keys where decisions are kept."""

TEXT_FIELDS: Final = (NAME, REMARK)


_FIRST_INDEX = frozenset({0})


@dataclass(slots=True, eq=False)
class Entry:
    """A broker message. It is acknowledged when the last command in it is settled.

    - `tag`: the broker's id of the message.
    - `total`: the number of events in the message.
    - `settled`: the indexes of the events that are settled. After a crash they come from the broker.
    - `reply_to`, `correlation_id`: properties of the message, on brokers that have them.
    - `from_list`: the message arrived over a kombu list, and its results go to a list.
    - `problem`, `problem_kind`: why the message is refused regardless of its body, and the error kind.
    - `ignore_body`: the body is not parsed, not even to find out whom to answer.
    - `awaits_redelivery`: the broker will deliver the message again; it is answered then, not now.
    - `replay`: set if an operator replays this dead letter.
    - `dead_letter_name`: replaces the tag in the ids of its dead letters. Messages with equal bytes and
      properties share it.
    - `stray_queue`: the queue that the message was published to, if that belongs to no partition.
    """

    partition: int
    tag: str
    body: bytes
    is_array: bool = False
    total: int = 1
    settled: AbstractSet[int] = frozenset()
    reply_to: str | None = None
    correlation_id: str | None = None
    from_list: bool = False
    problem: str | None = None
    problem_kind: str = "invalid"
    ignore_body: bool = False
    awaits_redelivery: bool = False
    replay: Replay | None = None
    dead_letter_name: str | None = None
    stray_queue: str | None = None

    def mark_settled(self, index: int) -> None:
        """Note that the event at this index is settled."""
        if self.total == 1 and not index:
            self.settled = _FIRST_INDEX
        elif isinstance(self.settled, set):
            self.settled.add(index)
        else:
            # A set per waiting message would double the memory: it is created only when needed.
            self.settled = {*self.settled, index}


@dataclass(slots=True, eq=False)
class Origin:
    """The event that a command came from, and where its result goes. `index`: its position in the entry."""

    entry: Entry
    index: int
    reply_to: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None


@dataclass(slots=True, eq=False)
class Command:
    """A valid command.

    - `fingerprint`: equal for two commands that ask for the same change. It detects a reused key.
    - `origins`: more than one if the same command arrived again before it was settled.
    - `expires_at`: the command's own expiry, in Unix seconds.
    - `number_expiry`: when the vendor removes its numbers from the group, in Unix seconds.
    - `received_spelling`: by normalized number, how the producer wrote it. `None` if all are equal.
    - `digest`: `key.digest()`, computed once.

    The engine sets:

    - `arrival`: the command's number in the order of all deliveries.
    - `arrived_at`: the time of arrival, in Unix seconds.
    - `attempted`: a call that carries the command may have taken effect.
    - `stale`: its source sent a command with a higher `sequence` for the group before.
    - `retry_history`: its failed attempts and its replay; `None` if it has neither.
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
    retry_history: RetryHistory | None = None
    received_spelling: Mapping[str, str] | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        self.digest = self.key.digest()

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The texts that a rename sets: `NAME`, `REMARK`, or both. Empty for other commands."""
        if self.kind is not RENAME:
            return ()
        return (NAME,) * (self.group_name is not None) + (REMARK,) * (self.remark is not None)

    @property
    def targets(self) -> tuple[str, ...]:
        """The numbers or texts that the command names. A later command can override each of them."""
        return self.numbers or self.text_fields

    def text_value(self, text_field: str) -> str | None:
        """Return the new value of this text: `NAME` or `REMARK`."""
        return self.group_name if text_field == NAME else self.remark

    def normalize_numbers(self, normalize: Callable[[str], str]) -> None:
        """Replace each number by its normal form. Spellings of the same number become one number."""
        normalized = tuple(map(normalize, self.numbers))
        if normalized != self.numbers:
            # Reversed: of several spellings of a number, the first is kept.
            self.received_spelling = dict(zip(reversed(normalized), reversed(self.numbers), strict=True))
            self.numbers = tuple(dict.fromkeys(normalized))

    def as_received(self, numbers: Sequence[str]) -> tuple[str, ...]:
        """Return these numbers of the command in the producer's spelling."""
        spelling = self.received_spelling
        return tuple(numbers if spelling is None else (spelling[number] for number in numbers))


is_stale: Final = attrgetter("stale")
"""Return whether the command is stale. A C function, for hot paths."""
