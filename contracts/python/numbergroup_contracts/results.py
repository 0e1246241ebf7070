"""The results: the worker's answer to each command."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from numbergroup_contracts.event import MAX_EVENTS_PER_MESSAGE, Envelope

RESULT = "numbergroup.result.v1"
SOURCE = "numbergroup"


class Status(StrEnum):
    """The outcome of a command."""

    APPLIED = "applied"
    """The vendor carried it out."""
    PARTIAL = "partial"
    """The vendor accepted some of the numbers that the command decided, and named those that it did not
    (`rejectedNumbers`; only vendors that answer number by number). If it accepted none, the command is
    `rejected`."""
    SUPERSEDED = "superseded"
    """Later commands decided all of its numbers; the requestIds of their calls are listed. Or its
    `sequence` was lower than an earlier command's: then there may be no requestIds."""
    REJECTED = "rejected"
    """It can never succeed: it is malformed, unsupported, or was refused by the vendor (`error`)."""
    EXPIRED = "expired"
    """Its `expirytime` passed before it was sent to the vendor."""
    FAILED = "failed"
    """Retries ended, it crashed workers repeatedly, or its group was stuck and too many commands waited
    for it (`error`)."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)


ERROR_KINDS: Final = {
    "invalid": "the command is malformed, or the account cannot take one of its values",
    "unsupported": "the account's vendor has no call for it",
    "misrouted": "it was published to another partition than its group's, or to a queue of no partition",
    "unknown-group": "no group has its groupKey",
    "conflict": "the same source and id had another body, or the groupKey is taken",
    "refused": "the vendor, or the broker, refused it",
    "unavailable": "the vendor gave no usable answer until retries ended, or what it did cannot be found out",
    "crashed": "workers crashed again and again with it alone in hand; what it asks for may be done in part. "
    "Publish it under a new id when the worker, or the message, is mended",
    "quarantined": "its group was stuck, and too many commands waited for it",
    "expired": "its expirytime, or its message's time to live, was over",
    "too-large": "the broker takes no message of the result's size: a list has failed, of any other result "
    "parts are left out",
    "reply-queue": "the reply queue that was asked for takes nothing: the result is in the default one",
    "stale": "given by earlier versions only",
    "unknown": "of a dead letter only: its description cannot be read",
}
"""The kinds of errors, and what they mean."""


class ErrorInfo(_Data):
    """Why a command did not succeed, or why its result is not as usual."""

    kind: Annotated[
        str,
        Field(
            description="\n".join(
                [
                    "The kind of error. Consumers must expect new kinds. So far:",
                    *(f"`{kind}`: {meaning}." for kind, meaning in ERROR_KINDS.items()),
                ]
            )
        ),
    ]
    code: str | None = None
    """The vendor's error code, if there is one."""
    message: str


class CommandRef(_Data):
    """The command that is answered, by the attributes that its producer gave it."""

    id: str
    source: str
    type: str | None = None


class ListedGroup(_Data):
    """A group as `numbergroup.list.v1` reports it."""

    groupId: str  # noqa: N815 (the wire's names)
    groupName: str  # noqa: N815
    remark: str
    phones: list[str]
    customerId: str | None = None  # noqa: N815
    """The vendor's id of the group's owner (NXCloud only)."""


class VendorDetails(_Data):
    """Further details of the vendor's answers to the calls that decided this command's numbers, under the
    vendor's own names. Only Ozonetel has them. Members that its answers did not have are absent, or `null`.

    The counts are those of the calls. If a call was made for several commands (`mergedCommands`), the result
    of each of them has the call's full counts. The counts of several calls are added up.
    """

    new: int | None = None
    inserted: int | None = None
    deleted: int | None = None
    affectedRows: int | None = None  # noqa: N815
    lastInsertId: int | str | None = None  # noqa: N815
    reasons: dict[str, str] | None = None
    """Why the vendor rejected this command's `rejectedNumbers`, by number, where its answer has a reason."""


class ResultData(_Data):
    """The outcome of the command. Members that do not apply are absent, or `null`."""

    command: CommandRef
    status: Annotated[Status, Field(strict=False)]
    account: str | None = None
    """The account that made the calls; `null` if the command's account could not be read."""
    groupId: str | None = None  # noqa: N815
    groupKey: str | None = None  # noqa: N815
    requestIds: list[str] = []  # noqa: N815
    """The vendor's ids of the calls that decided this command's numbers."""
    mergedCommands: Annotated[int, Field(ge=0)] = 0  # noqa: N815
    """How many commands of the group were settled together, this one included: those that waited when their
    calls were planned. Commands that needed no call (expired, superseded, refused without one) count as well,
    and have the same number. 0: the command was answered alone, before any planning (malformed,
    unsupported, …). A repeat has the number of the first answer."""
    error: ErrorInfo | None = None
    deadLetterId: str | None = None  # noqa: N815
    rejectedNumbers: list[str] | None = None  # noqa: N815
    """With `partial`, or with `rejected` if the vendor accepted none: the numbers that this command decided
    (no later command did) and that the vendor did not accept."""
    vendor: VendorDetails | None = None
    """Further details of the vendor's answers."""
    groups: list[ListedGroup] | None = None
    """The answer to `numbergroup.list.v1`."""
    total: int | None = None
    """With `groups`: how many groups the account has, as the vendor counts them."""


class ResultEvent(Envelope):
    """The answer to one command. `id` is the same for the same command and outcome."""

    type: Literal["numbergroup.result.v1"]
    data: ResultData


ResultBatch = Annotated[list[ResultEvent], Field(min_length=1, max_length=MAX_EVENTS_PER_MESSAGE)]

RESULT_ADAPTER: TypeAdapter[ResultEvent | list[ResultEvent]] = TypeAdapter(ResultEvent | ResultBatch)
"""A message on a reply queue: one result, or an array of those that settled together."""
