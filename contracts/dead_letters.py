"""Dead letters: what could not succeed, kept whole so that people can see, mend and replay it."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.results import CommandRef, ErrorInfo


class DeadLetter(BaseModel):
    """The description of a letter; the bytes as they arrived are stored beside it, unchanged.

    `command` is missing when no id could be read. `entry` and `index` say where the bytes came
    from: the broker's own message id, and the place in the array if the message was one.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: str
    time: Annotated[AwareDatetime, Field(strict=True)]
    partition: Annotated[int, Field(ge=0)]
    entry: str
    index: Annotated[int, Field(ge=0)] | None
    error: ErrorInfo
    command: CommandRef | None = None
    account: str | None = None
    group: str | None = None
    requestIds: list[str] = []  # noqa: N815 (the wire's name)
