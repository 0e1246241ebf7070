"""The CloudEvents 1.0 envelope that every command and every result wears (JSON, structured mode).

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

MAX_EVENTS_PER_MESSAGE = 1_000

PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+$"
"""No control characters, and no invisible or direction-changing ones: identifiers end up in terminals."""

Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE)]
"""1 to 128 printable characters."""

Timestamp = Annotated[AwareDatetime, Field(strict=True)]
"""RFC 3339 with a zone, as a string; numbers are not taken for Unix times."""

JsonMediaType = Annotated[str, Field(pattern=r"^application/([a-z0-9.-]+\+)?json( *;.*)?$")]


class Envelope(BaseModel):
    """Attributes that every event has.

    Attributes that are not named here are CloudEvents extensions of somebody else's: they are
    allowed and ignored. A `null` attribute counts as absent, as the JSON format has it.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    specversion: Literal["1.0"]
    id: Identifier
    source: Identifier
    time: Timestamp | None = None
    datacontenttype: JsonMediaType | None = None
    subject: Annotated[str, Field(max_length=1024, pattern=PRINTABLE)] | None = None
    traceparent: Identifier | None = None
    correlationid: Identifier | None = None
