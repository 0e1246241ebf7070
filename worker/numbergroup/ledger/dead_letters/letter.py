"""Decodes a dead letter from its stream entry. Bad values never raise: defaults replace them."""

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

# Larger numbers are not exact in Lua and JSON.
_MAX_EXACT = 2**53 - 1
_MAX_COUNT = 2**31 - 1
_POSITION = struct.Struct(">QQQHI")
_KINDS = {"id": HandleKind.ID, "key": HandleKind.KEY}


class Failure(BaseModel):
    """One failure in a letter's history."""

    time: Timestamp
    error: ErrorInfo


class ReplyRoute(BaseModel):
    """Where the result of the command is sent."""

    listed: bool = False
    replyTo: str | None = None  # noqa: N815 (the names in the ledger)
    correlationId: str | None = None  # noqa: N815
    traceparent: str | None = None


class Description(BaseModel):
    """A letter's description, as in `contracts.DeadLetter`, of any version: every field is optional."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str | None = None
    time: Timestamp | None = None
    error: ErrorInfo = ErrorInfo(kind="unknown", message="the letter's description cannot be read")
    command: CommandRef | None = None
    account: str | None = None
    group: str | None = None
    requestIds: list[str] = []  # noqa: N815
    fingerprint: str | None = None
    attempts: Annotated[int, Field(ge=0, le=_MAX_COUNT)] | None = None
    firstTime: Timestamp | None = None  # noqa: N815
    replays: Annotated[int, Field(ge=0, lt=_MAX_COUNT)] = 0
    history: list[Failure] = []
    via: ReplyRoute | None = None


@dataclass(frozen=True)
class Letter:
    """A dead letter. `entry` is the id of its stream entry, `fields` are the entry's fields; they never
    change."""

    partition: int
    entry: str
    fields: Mapping[bytes, bytes]

    @property
    def id(self) -> str:
        """The `deadLetterId` of results. An entry without an id gets one from its partition and entry."""
        stored = self.fields.get(b"id")
        return stored.decode(errors="replace") if stored else f"entry:{self.partition}:{self.entry}"

    @property
    def body(self) -> bytes:
        return self.fields.get(b"body", b"")

    @property
    def original(self) -> bytes | None:
        """The bytes that first arrived, if the letter was edited."""
        return self.fields.get(b"original")

    @property
    def description(self) -> bytes:
        return self.fields.get(b"letter", b"")

    @cached_property
    def details(self) -> Description:
        try:
            return Description.model_validate_json(self.description)
        except ValidationError:
            return Description()

    @property
    def order(self) -> int | None:
        """The letter's position among all decisions.

        `None`: it was written before letters had an order, and no counter includes it.
        """
        return _number(self.fields.get(b"order"))

    @property
    def watched_ms(self) -> int | None:
        """Since when decisions of its group are recorded, in Unix milliseconds; `None`: since it failed."""
        return _number(self.fields.get(b"watched"))

    @property
    def written_ms(self) -> int:
        """When its entry was written, in the server's Unix milliseconds."""
        return int(self.entry.partition("-")[0])

    @property
    def failed_at(self) -> datetime:
        """The time of its last failure."""
        return self.details.time or datetime.fromtimestamp(
            min(self.written_ms, 253_402_300_799_999) / 1000, UTC
        )

    @cached_property
    def ref(self) -> GroupRef | None:
        """Its group; `None` if it belongs to none."""
        kind, _, name = (self.details.group or "").partition(":")
        if kind not in _KINDS or not name:
            return None
        return GroupRef(self.details.account or "default", _KINDS[kind], name)

    @property
    def group_field(self) -> str | None:
        """The field under which its group counts it; `None` if it is not counted."""
        return None if self.ref is None or self.order is None else keys.group_field(self.ref)

    @property
    def counted_as(self) -> str | None:
        """The fingerprint that counts it; empty if it has none, `None` if it is not counted."""
        return None if self.order is None else self.details.fingerprint or ""

    @property
    def position(self) -> "Position":
        return Position.from_letter(self)


class Position(bytes):
    """Identifies a letter's entry in 30 bytes, which sort in the order of the letters' first failures.

    Actions on many letters keep only their positions in memory.
    """

    @classmethod
    def from_letter(cls, letter: Letter) -> Self:
        milliseconds, _, serial = letter.entry.partition("-")
        size = min(sum(map(len, letter.fields.values())), 2**32 - 1)
        fields = (letter.order or 0, int(milliseconds), int(serial or 0), letter.partition, size)
        return cls(_POSITION.pack(*fields))

    @property
    def partition_number(self) -> int:
        return int(_POSITION.unpack(self)[3])

    @property
    def entry(self) -> str:
        _, milliseconds, serial, *_ = _POSITION.unpack(self)
        return f"{milliseconds}-{serial}"

    @property
    def size(self) -> int:
        """The size of the entry's values, in bytes."""
        return int(_POSITION.unpack(self)[4])


def decode_letter(partition: int, entry: bytes, fields: Mapping[bytes, bytes]) -> Letter:
    return Letter(partition, entry.decode(), fields)


def description_with(letter: Letter, **changed: Any) -> bytes:
    """Return the letter's description as JSON, with some members changed."""
    try:
        members = orjson.loads(letter.description)
    except ValueError:
        members = {}
    return orjson.dumps((members if isinstance(members, dict) else {}) | changed)


def _number(data: bytes | None) -> int | None:
    if data is None or not data.isdigit() or len(data) > 19:
        return None
    number = int(data)
    return number if number <= _MAX_EXACT else None
