"""Dead letters: what could not succeed, kept whole so that people can see, mend and replay it."""

import re
from hashlib import blake2b
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from numbergroup_contracts.event import Timestamp
from numbergroup_contracts.results import CommandRef, ErrorInfo

MOST_HISTORY = 10
"""How many earlier failures a letter names."""

_LONGEST_SHAPE = 200
_READ = 2_000
_VARYING = re.compile(
    r"""\"[^"]*\" | (?<!\w)'[^']*'(?!\w) | «[^»]*» | <number>"""
    r"""| \b(?=[\w-]{0,63}\d)[\w-]{8,}\b | \d+""",
    re.VERBOSE,
)

Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
"""Letters that failed alike have the same: the `fingerprint` of kind, code and message."""


def shape(message: str) -> str:
    """The message without what varies from one failure to the next: numbers, ids, quoted texts are `#`.

    The shape of a shape is itself, and it has 200 characters at most.
    """
    said, before = message[:_READ], ""
    while said != before:
        # What is left of a text may be a quotation by now.
        said, before = _VARYING.sub("#", said), said
    return said[:_LONGEST_SHAPE]


def fingerprint(kind: str, code: str | None, message: str) -> str:
    """The same for errors of the same kind and code whose messages have the same shape: 12 hex digits."""
    said = "\0".join((kind, code or "", shape(message)))
    return blake2b(said.encode(errors="replace"), digest_size=6).hexdigest()


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)


class PastFailure(_Said):
    """One time that a command failed."""

    time: Timestamp
    error: ErrorInfo


class Via(_Said):
    """How the answer to the command is to go back, beside what the event itself says."""

    listed: bool = False
    """It came over a kombu list, and is answered there."""
    replyTo: str | None = None  # noqa: N815 (the wire's names)
    correlationId: str | None = None  # noqa: N815
    traceparent: str | None = None


class Replay(_Said):
    """What a worker has to know of a letter that is tried again.

    `order` is the letter's place among all that was settled, `group` the field of its group in the ledger.
    `history` ends with the letter's own error.
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
    """Whether numbers count that later commands have decided since."""
    via: Via = Via()


class DeadLetter(BaseModel):
    """The description of a letter; the bytes as they arrived are stored beside it, unchanged.

    `command` is missing when no id could be read. `entry` and `index` say where the bytes came
    from: the broker's own message id, and the place in the array if the message was one. `error.kind`
    `crashed`: workers died of the message. Of an array there is a letter for each event that was answered,
    and one with the whole message; where even looking for an id killed, `command` is missing.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)

    id: str
    time: Timestamp
    partition: Annotated[int, Field(ge=0)]
    entry: str
    """The broker's own id of the message."""
    index: Annotated[int, Field(ge=0)] | None = None
    """The event's place in the array, if the message was one."""
    error: ErrorInfo
    command: CommandRef | None = None
    """Absent or `null` when no source and id could be read."""
    account: str | None = None
    group: str | None = None
    """The group's handle, with its kind before it: `id:…` or `key:…`."""
    requestIds: list[str] = []  # noqa: N815 (the wire's name)
    fingerprint: Fingerprint | None = None
    attempts: Annotated[int, Field(ge=0)] = 0
    """How many calls failed that carried it, all replays included."""
    firstTime: Timestamp | None = None  # noqa: N815
    """When it first failed."""
    replays: Annotated[int, Field(ge=0)] = 0
    """How often it was replayed before."""
    history: Annotated[list[PastFailure], Field(max_length=MOST_HISTORY)] = []
    """How it failed before, oldest first."""
    via: Via | None = None
