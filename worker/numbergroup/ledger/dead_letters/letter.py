"""One dead letter, as it lies in its stream. Reading raises nothing, whatever is there."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.ledger import keys
from numbergroup_contracts.event import Timestamp
from numbergroup_contracts.results import CommandRef, ErrorInfo

# Beyond it, Lua and JSON do not count exactly.
_GREATEST = 2**53 - 1
_MANY = 2**31 - 1
_POSITION = struct.Struct(">QQQHI")
_KINDS = {"id": HandleKind.ID, "key": HandleKind.KEY}


class Happened(BaseModel):
    """One failure in a letter's history."""

    time: Timestamp
    error: ErrorInfo


class Via(BaseModel):
    """How the answer goes back."""

    listed: bool = False
    replyTo: str | None = None  # noqa: N815 (the names in the ledger)
    correlationId: str | None = None  # noqa: N815
    traceparent: str | None = None


class Description(BaseModel):
    """What `contracts.DeadLetter` says, of every version: nothing in it is required, nothing is refused."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str | None = None
    time: Timestamp | None = None
    error: ErrorInfo = ErrorInfo(kind="unknown", message="the letter's description cannot be read")
    command: CommandRef | None = None
    account: str | None = None
    group: str | None = None
    requestIds: list[str] = []  # noqa: N815
    fingerprint: str | None = None
    attempts: Annotated[int, Field(ge=0, le=_MANY)] | None = None
    firstTime: Timestamp | None = None  # noqa: N815
    replays: Annotated[int, Field(ge=0, lt=_MANY)] = 0
    history: list[Happened] = []
    via: Via | None = None


@dataclass(frozen=True)
class Letter:
    """`entry` is the id of the stream's entry, `fields` all that is in it: an entry never changes."""

    partition: int
    entry: str
    fields: Mapping[bytes, bytes]

    @property
    def id(self) -> str:
        """What a result's `deadLetterId` says. What somebody else wrote gets a name by its place."""
        said = self.fields.get(b"id")
        return said.decode(errors="replace") if said else f"entry:{self.partition}:{self.entry}"

    @property
    def body(self) -> bytes:
        return self.fields.get(b"body", b"")

    @property
    def original(self) -> bytes | None:
        """The bytes as they first arrived, of a letter that was edited."""
        return self.fields.get(b"original")

    @property
    def description(self) -> bytes:
        return self.fields.get(b"letter", b"")

    @cached_property
    def said(self) -> Description:
        try:
            return Description.model_validate_json(self.description)
        except ValidationError:
            return Description()

    @property
    def order(self) -> int | None:
        """Where it stands among all that was decided. `None`: it was written before letters had an order, and
        is in none of the counters."""
        return _number(self.fields.get(b"order"))

    @property
    def watched_ms(self) -> int | None:
        """From when on (Unix milliseconds) it is known what was decided for its group; `None`: all along."""
        return _number(self.fields.get(b"watched"))

    @property
    def written_ms(self) -> int:
        """When its entry was written, in Unix milliseconds of the server."""
        return int(self.entry.partition("-")[0])

    @property
    def failed_at(self) -> datetime:
        """When it failed last."""
        return self.said.time or datetime.fromtimestamp(min(self.written_ms, 253_402_300_799_999) / 1000, UTC)

    @cached_property
    def ref(self) -> GroupRef | None:
        """Its group; `None` for a letter that belongs to none."""
        kind, _, name = (self.said.group or "").partition(":")
        if kind not in _KINDS or not name:
            return None
        return GroupRef(self.said.account or "default", _KINDS[kind], name)

    @property
    def lettered(self) -> str | None:
        """The field under which it counts as one of its group's letters; `None` when it does not."""
        return None if self.ref is None or self.order is None else keys.field(self.ref)

    @property
    def counted_as(self) -> str | None:
        """Its fingerprint, under which it is counted; empty without one, `None` when it is not counted."""
        return None if self.order is None else self.said.fingerprint or ""

    @property
    def position(self) -> "Position":
        return Position.of(self)


class Position(bytes):
    """Which entry a letter is, in 30 bytes that sort by the order in which letters first failed.

    Of many letters that is all that is kept in memory.
    """

    @classmethod
    def of(cls, letter: Letter) -> Self:
        milliseconds, _, serial = letter.entry.partition("-")
        size = min(sum(map(len, letter.fields.values())), 2**32 - 1)
        place = (letter.order or 0, int(milliseconds), int(serial or 0), letter.partition, size)
        return cls(_POSITION.pack(*place))

    @property
    def partition_number(self) -> int:
        return int(_POSITION.unpack(self)[3])

    @property
    def entry(self) -> str:
        _, milliseconds, serial, *_ = _POSITION.unpack(self)
        return f"{milliseconds}-{serial}"

    @property
    def size(self) -> int:
        """The bytes of all that is in the entry."""
        return int(_POSITION.unpack(self)[4])


def decode(partition: int, entry: bytes, fields: Mapping[bytes, bytes]) -> Letter:
    return Letter(partition, entry.decode(), fields)


def description_with(letter: Letter, **changed: Any) -> bytes:
    """The letter's description with some members changed, and all others as they are."""
    try:
        said = orjson.loads(letter.description)
    except ValueError:
        said = {}
    return orjson.dumps((said if isinstance(said, dict) else {}) | changed)


def _number(data: bytes | None) -> int | None:
    if data is None or not data.isdigit() or len(data) > 19:
        return None
    number = int(data)
    return number if number <= _GREATEST else None
