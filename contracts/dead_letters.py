"""Dead letters: what could not succeed, kept whole so that people can see, mend and replay it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Timestamp
from contracts.results import CommandRef, ErrorInfo


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
