"""The commands: what a producer may ask of a group of numbers."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from contracts.event import MAX_EVENTS_PER_MESSAGE, Envelope, Identifier, Timestamp

CREATE = "numbergroup.create.v1"
UPDATE = "numbergroup.update.v1"
DELETE = "numbergroup.delete.v1"
LIST = "numbergroup.list.v1"

Phone = Annotated[str, Field(pattern=r"^[1-9][0-9]{6,14}$")]
"""7 to 15 ASCII digits with the country code, no `+`, the first one not 0 (E.164 without the sign)."""

PhonesText = Annotated[str, Field(pattern=r"^[1-9][0-9]{6,14}(,[1-9][0-9]{6,14})*$")]
"""The vendor's own form: numbers joined by commas, no spaces."""

Operation = Literal["add", "delete", "replace"]
_VENDOR_OPERATIONS: dict[str | int, Operation] = {
    "add": "add",
    "delete": "delete",
    "replace": "replace",
    0: "add",
    1: "delete",
    2: "replace",
}


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class _Phones(_Data):
    phones: Annotated[list[Phone] | PhonesText, Field(union_mode="left_to_right")]

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers in order, each once."""
        phones = self.phones.split(",") if isinstance(self.phones, str) else self.phones
        return tuple(dict.fromkeys(phones))


class _Addressed(_Data):
    groupId: Identifier | None = None  # noqa: N815 (the wire's name)
    groupKey: Identifier | None = None  # noqa: N815

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.groupId is None) == (self.groupKey is None):
            raise ValueError("exactly one of groupId and groupKey must be given")
        return self

    @property
    def handle(self) -> str:
        """The name by which the command addresses its group; what partitions are chosen by."""
        return self.groupKey or self.groupId or ""


class CreateData(_Phones):
    groupName: Annotated[str, Field(max_length=256)] | None = None  # noqa: N815
    remark: Annotated[str, Field(max_length=1024)] | None = None
    groupKey: Identifier | None = None  # noqa: N815

    @model_validator(mode="after")
    def _has_numbers(self) -> Self:
        if not self.phones:
            raise ValueError("phones must name at least one number")
        return self


class UpdateData(_Addressed, _Phones):
    operateType: Operation | Annotated[int, Field(ge=0, le=2)]  # noqa: N815
    expiresAt: Timestamp | None = None  # noqa: N815

    @property
    def operation(self) -> Operation:
        """The operation by name, whether it came as a name or as the vendor's number."""
        return _VENDOR_OPERATIONS[self.operateType]

    @model_validator(mode="after")
    def _check(self) -> Self:  # replaces the parent's: one call into Python for a command, not two
        if (self.groupId is None) == (self.groupKey is None):
            raise ValueError("exactly one of groupId and groupKey must be given")
        if not self.phones and self.operation != "replace":
            raise ValueError("phones must name at least one number (only a replace may be empty)")
        return self


class DeleteData(_Addressed):
    pass


class ListData(_Data):
    limit: Annotated[int, Field(ge=0, le=1000)] = 1000
    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class _CommandEnvelope(Envelope):
    account: Identifier | None = None
    replyto: Identifier | None = None
    expirytime: Timestamp | None = None
    sequence: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None


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


class ListGroups(_CommandEnvelope):
    """List groups; `limit` and `offset` as the vendor has them."""

    type: Literal["numbergroup.list.v1"]
    data: ListData


AnyCommand = CreateGroup | UpdateGroup | DeleteGroup | ListGroups
CommandEvent = Annotated[AnyCommand, Field(discriminator="type")]
CommandBatch = Annotated[list[CommandEvent], Field(max_length=MAX_EVENTS_PER_MESSAGE)]

COMMAND_ADAPTER: TypeAdapter[AnyCommand] = TypeAdapter(CommandEvent)
"""One command: `COMMAND_ADAPTER.validate_json(body)`."""

BATCH_ADAPTER: TypeAdapter[list[AnyCommand]] = TypeAdapter(CommandBatch)
"""An array of commands (the CloudEvents batch format), applied in order."""

MESSAGE_ADAPTER: TypeAdapter[AnyCommand | list[AnyCommand]] = TypeAdapter(CommandEvent | CommandBatch)
"""A message body: one command or an array of up to 1,000."""
