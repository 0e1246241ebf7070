"""Dead letters: commands and messages that failed, kept so that operators can see, edit and replay them."""

import re
from hashlib import blake2b
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from numbergroup_contracts.event import Timestamp
from numbergroup_contracts.results import CommandRef, ErrorInfo

MAX_HISTORY = 10
"""The number of earlier failures that a dead letter lists."""

_MAX_SHAPE = 200
_MAX_READ = 2_000
_VARYING = re.compile(
    r"""\"[^"]*\" | (?<!\w)'[^']*'(?!\w) | «[^»]*» | <number>"""
    r"""| \b(?=[\w-]{0,63}\d)[\w-]{8,}\b | \d+""",
    re.VERBOSE,
)

Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
"""Dead letters with the same kind, code and shape of message have the same fingerprint."""


def shape(message: str) -> str:
    """Return the message with `#` for the parts that vary between failures: numbers, ids, quoted texts.

    The shape of a shape is itself. It has at most 200 characters.
    """
    text, previous = message[:_MAX_READ], ""
    while text != previous:
        # A replacement can make a quotation of what surrounds it.
        text, previous = _VARYING.sub("#", text), text
    return text[:_MAX_SHAPE]


def fingerprint(kind: str, code: str | None, message: str) -> str:
    """Return 12 hex digits that are equal for errors of the same kind, code and shape of message."""
    text = "\0".join((kind, code or "", shape(message)))
    return blake2b(text.encode(errors="replace"), digest_size=6).hexdigest()


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)


class PastFailure(_Model):
    """An earlier failure of a command."""

    time: Timestamp
    error: ErrorInfo


class Via(_Model):
    """Where the result of the command is sent, and what comes back on it."""

    listed: bool = False
    """The command arrived on a kombu list, and its result goes to the kombu reply list."""
    replyTo: str | None = None  # noqa: N815 (the wire's names)
    correlationId: str | None = None  # noqa: N815
    traceparent: str | None = None


class Replay(_Model):
    """What a worker must know of a dead letter that is replayed.

    `order` is the dead letter's position among everything that was settled. `group` is the field of its group
    in the ledger. `history` ends with the dead letter's own error.
    """

    letter: str
    replays: Annotated[int, Field(ge=1, le=2**31)]
    """1 for the first replay."""
    order: Annotated[int, Field(ge=0, lt=2**53)]
    group: str | None = None
    firstTime: Timestamp | None = None  # noqa: N815
    attempts: Annotated[int, Field(ge=0, le=2**31)] = 0
    history: list[PastFailure] = []
    force: bool = False
    """Whether the replay also decides numbers that later commands have decided since."""
    via: Via = Via()


class DeadLetter(BaseModel):
    """The description of a dead letter. The bytes as they arrived are stored beside it, unchanged.

    `error.kind` `crashed`: the message crashed workers repeatedly. If it was an array, there is a dead letter
    for each event that was answered, and one with the whole message. `command` is missing if no id could be
    read, or if reading one crashed workers, too.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)

    id: str
    time: Timestamp
    partition: Annotated[int, Field(ge=0)]
    entry: str
    """The broker's own id of the message."""
    index: Annotated[int, Field(ge=0)] | None = None
    """The event's position in the array, if the message was one."""
    error: ErrorInfo
    command: CommandRef | None = None
    """Absent or `null` if no source and id could be read."""
    account: str | None = None
    group: str | None = None
    """The group's handle with its kind: `id:…` or `key:…`."""
    requestIds: list[str] = []  # noqa: N815 (the wire's name)
    fingerprint: Fingerprint | None = None
    attempts: Annotated[int, Field(ge=0)] = 0
    """How many calls with the command failed, those of all replays included."""
    firstTime: Timestamp | None = None  # noqa: N815
    """When it first failed."""
    replays: Annotated[int, Field(ge=0)] = 0
    """How often it was replayed before."""
    history: Annotated[list[PastFailure], Field(max_length=MAX_HISTORY)] = []
    """Its earlier failures, oldest first."""
    via: Via | None = None
