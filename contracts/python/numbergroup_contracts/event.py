"""The CloudEvents 1.0 envelope of every command and every result (JSON, structured mode).

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

MAX_EVENTS_PER_MESSAGE = 1_000

_UNPRINTABLE = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    r"\ufeff\ufff9-\ufffb\ufffe\uffff"
)

PRINTABLE = rf"^[^{_UNPRINTABLE}]+$"
"""No control characters, no spaces but the plain one, and nothing invisible or direction-changing, because
identifiers are printed to terminals. (Unicode's categories "other" and "separator", as far as every dialect
of regular expressions can name them.)
"""

Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE)]
"""1 to 128 printable characters."""

ShortText = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE)]
"""1 to 255 printable characters, as AMQP allows for the name of a queue and for a correlation id."""

RFC_3339 = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""A date-time with a zone; no leap seconds."""

_RFC_3339 = re.compile(RFC_3339)


def _check_rfc_3339(value: Any) -> Any:
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        return value
    raise ValueError("must be a date-time of RFC 3339 with a zone, such as 2026-11-21T09:30:00Z")


Timestamp = Annotated[
    AwareDatetime,
    # By default, pydantic also accepts Unix times (in strings, too) and several forms of ISO 8601.
    BeforeValidator(_check_rfc_3339),
    Field(strict=False),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": RFC_3339}),
]
"""RFC 3339 with a zone, as a string; digits of a second beyond the sixth are cut off."""

JSON_TYPE = r"^[A-Za-z0-9.+-]+/([A-Za-z0-9.-]+\+)?[Jj][Ss][Oo][Nn]( *;[^\u0000-\u001f]*)?$"

JsonMediaType = Annotated[str, Field(pattern=JSON_TYPE)]
"""`application/json`, or any other type whose subtype is `json` or ends in `+json`."""


class Envelope(BaseModel):
    """Attributes that every event has.

    Other attributes are CloudEvents extensions: they are allowed and ignored. A `null` attribute counts as
    absent, as in the CloudEvents JSON format. If an object has a name twice, the last one counts.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", use_attribute_docstrings=True)

    specversion: Literal["1.0"]
    id: Identifier
    """Identifies the event for ever, together with `source`."""
    source: Identifier
    """Which program sends the event."""
    time: Timestamp | None = None
    """When the event was created."""
    datacontenttype: JsonMediaType | None = None
    subject: Annotated[str, Field(pattern=r"^[^\u0000-\u001f\u007f-\u009f]+$")] | None = None
    """On a result, the groupId; the worker ignores it on a command."""
    traceparent: ShortText | None = None
    """W3C trace context of a command; its result has the same."""
    correlationid: ShortText | None = None
    """Any text of the command's sender; its result has the same."""
