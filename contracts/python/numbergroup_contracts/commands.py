"""The commands: what a producer may ask of a group of numbers."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from numbergroup_contracts.event import MAX_EVENTS_PER_MESSAGE, Envelope, Identifier, ShortText, Timestamp

CREATE: Final = "numbergroup.create.v1"
UPDATE: Final = "numbergroup.update.v1"
DELETE: Final = "numbergroup.delete.v1"
RENAME: Final = "numbergroup.rename.v1"
LIST: Final = "numbergroup.list.v1"

PHONE = r"^[1-9][0-9]{6,14}$"
PHONES_TEXT = r"^([1-9][0-9]{6,14}(,[1-9][0-9]{6,14})*)?$"

Phone = Annotated[str, Field(pattern=PHONE)]
"""7 to 15 ASCII digits with the country code, no `+`, the first one not 0 (E.164 without the sign)."""

PhonesText = Annotated[str, Field(pattern=PHONES_TEXT)]
"""The vendor's own form: numbers joined by commas, no spaces."""

Phones = Annotated[
    Annotated[list[Phone], Field(fail_fast=True)] | PhonesText, Field(union_mode="left_to_right")
]

Operation = Literal["add", "delete", "replace"]
OPERATIONS: Mapping[str | int, Operation] = {
    "add": "add",
    "delete": "delete",
    "replace": "replace",
    0: "add",
    1: "delete",
    2: "replace",
}
"""What `operateType` may be on the wire, and what it means."""

# The checks of the validators below, as JSON Schema.
_AT_LEAST_ONE_PHONE: dict[str, Any] = {"phones": {"minItems": 1, "minLength": 1}}
_EXACTLY_ONE_HANDLE: dict[str, Any] = {
    "oneOf": [
        {
            "required": [given],
            "properties": {given: {"type": "string"}, other: {"type": "null"}},
        }
        for given, other in (("groupId", "groupKey"), ("groupKey", "groupId"))
    ]
}
_AT_LEAST_ONE_TEXT: dict[str, Any] = {
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "string"}}} for name in ("groupName", "remark")
    ]
}
_ONLY_REPLACE_MAY_BE_EMPTY: dict[str, Any] = {
    "if": {"properties": {"operateType": {"enum": ["add", "delete", 0, 1]}}},
    "then": {"properties": _AT_LEAST_ONE_PHONE},
}


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)


def unique_numbers(phones: str | list[str]) -> tuple[str, ...]:
    """Return the numbers of a command's `phones`, in order, each once."""
    if isinstance(phones, str):
        phones = phones.split(",") if phones else []
    return tuple(phones if len(set(phones)) == len(phones) else dict.fromkeys(phones))


class _Phones(_Data):
    phones: Phones
    """Numbers of 7 to 15 digits with the country code: an array of them, or one string, comma-separated.
    Repeats count once."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers in order, each once."""
        return unique_numbers(self.phones)


class _WithHandle(_Data):
    model_config = ConfigDict(json_schema_extra=_EXACTLY_ONE_HANDLE)

    groupId: Identifier | None = None  # noqa: N815 (the wire's name)
    """The vendor's id of the group."""
    groupKey: Identifier | None = None  # noqa: N815
    """The producer's own name of the group, given when it was created."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.groupId is None) == (self.groupKey is None):
            raise ValueError("exactly one of groupId and groupKey must be given")
        return self

    @property
    def handle(self) -> str:
        """The command's name for its group; it determines the partition."""
        return self.groupKey or self.groupId or ""


GroupName = Annotated[str, Field(max_length=256)]
Remark = Annotated[str, Field(max_length=1024)]


class CreateData(_Phones):
    """What to create."""

    model_config = ConfigDict(json_schema_extra={"allOf": [{"properties": _AT_LEAST_ONE_PHONE}]})

    groupName: GroupName | None = None  # noqa: N815
    """Without a name, the vendor uses the group's id as its name."""
    remark: Remark | None = None
    groupKey: Identifier | None = None  # noqa: N815
    """A name of the producer's own, by which later commands may address the group."""
    expiresAt: Timestamp | None = None  # noqa: N815
    """When the numbers leave the group by themselves; only some vendors support it."""

    @model_validator(mode="after")
    def _check_phones(self) -> Self:
        if not self.phones:
            raise ValueError("phones must name at least one number")
        return self


class UpdateData(_WithHandle, _Phones):
    """Which group to change, and how."""

    model_config = ConfigDict(json_schema_extra=_EXACTLY_ONE_HANDLE | _ONLY_REPLACE_MAY_BE_EMPTY)

    operateType: Operation | Annotated[int, Field(ge=0, le=2)]  # noqa: N815
    """By name, or as the vendor numbers them: 0 add, 1 delete, 2 replace."""
    expiresAt: Timestamp | None = None  # noqa: N815
    """When the numbers leave the group by themselves; only some vendors support it."""

    @property
    def operation(self) -> Operation:
        """The operation's name, also if `operateType` is the vendor's number of it."""
        return OPERATIONS[self.operateType]

    @model_validator(mode="after")
    def _check(self) -> Self:  # overrides the parent's: one Python call per command instead of two
        if (self.groupId is None) == (self.groupKey is None):
            raise ValueError("exactly one of groupId and groupKey must be given")
        if not self.phones and self.operation != "replace":
            raise ValueError("phones must name at least one number (only a replace may be empty)")
        return self


class DeleteData(_WithHandle):
    """Which group to delete."""


class RenameData(_WithHandle):
    """Which group gets another name, another remark, or both."""

    model_config = ConfigDict(json_schema_extra=_EXACTLY_ONE_HANDLE | _AT_LEAST_ONE_TEXT)

    groupName: GroupName | None = None  # noqa: N815
    """The new name; absent: it stays as it is."""
    remark: Remark | None = None
    """The new remark; absent: it stays as it is."""

    @model_validator(mode="after")
    def _check_texts(self) -> Self:
        if self.groupName is None and self.remark is None:
            raise ValueError("groupName or remark must be given, or both")
        return self


class ListData(_Data):
    """Which part of the list of groups to fetch."""

    limit: Annotated[int, Field(ge=0, le=1000)] | None = None
    """How many groups at most; absent: 1,000."""
    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """How many groups to skip; absent: none."""


class _CommandEnvelope(Envelope):
    account: Identifier | None = None
    """Which of the worker's accounts makes the calls; absent: `default`."""
    replyto: ShortText | None = None
    """Another reply queue, if the worker's settings allow its name."""
    expirytime: Timestamp | None = None
    """The command is not sent to the vendor after this time; its result is then `expired`."""
    # RFC 7493, 2.2: integers beyond this do not survive every reader of JSON.
    sequence: Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)] | None = None
    """It grows per source and group: a command with a lower one than an earlier command is `superseded`."""


class CreateGroup(_CommandEnvelope):
    """Create a group. `groupKey` is a name of the producer's own, by which later commands may address it."""

    type: Literal["numbergroup.create.v1"]
    data: CreateData


class UpdateGroup(_CommandEnvelope):
    """Add numbers to a group, delete numbers from it, or replace all of them."""

    type: Literal["numbergroup.update.v1"]
    data: UpdateData


class DeleteGroup(_CommandEnvelope):
    """Delete a group."""

    type: Literal["numbergroup.delete.v1"]
    data: DeleteData


class RenameGroup(_CommandEnvelope):
    """Give a group another name or remark; only some vendors support it."""

    type: Literal["numbergroup.rename.v1"]
    data: RenameData


class ListGroups(_CommandEnvelope):
    """List groups; `limit` and `offset` as the vendor has them."""

    type: Literal["numbergroup.list.v1"]
    data: ListData


AnyCommand = CreateGroup | UpdateGroup | DeleteGroup | RenameGroup | ListGroups
CommandEvent = Annotated[AnyCommand, Field(discriminator="type")]
CommandBatch = Annotated[list[CommandEvent], Field(min_length=1, max_length=MAX_EVENTS_PER_MESSAGE)]

COMMAND_ADAPTER: TypeAdapter[AnyCommand] = TypeAdapter(CommandEvent)
"""One command: `COMMAND_ADAPTER.validate_json(body)`."""

BATCH_ADAPTER: TypeAdapter[list[AnyCommand]] = TypeAdapter(CommandBatch)
"""An array of commands (the CloudEvents batch format), applied in order."""

MESSAGE_ADAPTER: TypeAdapter[AnyCommand | list[AnyCommand]] = TypeAdapter(CommandEvent | CommandBatch)
"""A message body: one command or an array of up to 1,000."""
