"""The kinds of faults, and their strict validation. Pure.

By their effect on a call:

    it continues       latency, compressed; NXCloud: code_as_string, page_cap, hide_groups;
                       Ozonetel: reject_numbers, kill_token
    it is refused      refuse_numbers, throttle, redirect; NXCloud: code;
                       Ozonetel: authentication_failed, error
    it may be applied  status, garbage (`applied`: the change is made, the answer hides it)
    it gets no answer  lost (applied), drop (not applied), late (applied after `delay_ms`)
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
)

Vendor = Literal["nxcloud", "ozonetel"]
Action = Literal[
    "createGroup",
    "updateGroup",
    "listGroup",
    "deleteGroup",
    "createBlockNumber",
    "updateBlockNumbers",
    "deleteBlockNumber",
    "generateToken",
]
_Ms = Annotated[int, Field(ge=0, le=3_600_000)]
_HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{0,1000}$")]
_Number = Annotated[str, StringConstraints(pattern=r"^[0-9]+$")]


def _not_success(code: int) -> int:
    if code == 0:
        raise ValueError("0 is success, not a fault")
    return code


class _FaultFilter(BaseModel):
    """Selects the calls that a fault applies to, and how often. Without a filter it applies to every call.

    `only`: the one vendor that this kind of fault exists for; None for both. `probability`: 0 to 1.
    `times`: how often the fault fires at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    only: ClassVar[Vendor | None] = None

    vendor: Vendor | None = None
    action: Action | None = None
    group_id: str | None = Field(default=None, alias="groupId")
    probability: float = Field(default=1.0, ge=0, le=1, allow_inf_nan=False)
    times: int | None = Field(default=None, ge=1)

    @field_validator("vendor")
    @classmethod
    def _not_another_vendors(cls, vendor: Vendor | None) -> Vendor | None:
        if vendor and cls.only not in (None, vendor):
            raise ValueError(f"only {cls.only}'s calls can meet this")
        return vendor


class Latency(_FaultFilter):
    """The call waits `ms` milliseconds, and up to `jitter_ms` more, before it is processed."""

    kind: Literal["latency"] = "latency"
    ms: _Ms
    jitter_ms: _Ms = 0


class CodeAsString(_FaultFilter):
    """The answer has `code` as a string, as in other products of the vendor."""

    only = "nxcloud"

    kind: Literal["code_as_string"] = "code_as_string"


class Compressed(_FaultFilter):
    """The answer is compressed, whatever the client accepts. With `br` only the header is set, and the body
    is not decodable."""

    kind: Literal["compressed"] = "compressed"
    coding: Literal["gzip", "deflate", "br"] = "gzip"


class PageCap(_FaultFilter):
    """A page of a listing has at most `most` groups, whatever its `limit`. `total` counts all groups."""

    only = "nxcloud"

    kind: Literal["page_cap"] = "page_cap"
    most: int = Field(ge=1, le=1000)


class HideGroups(_FaultFilter):
    """A listing leaves out these groups, but its `total` counts them."""

    only = "nxcloud"

    kind: Literal["hide_groups"] = "hide_groups"
    groups: Annotated[frozenset[str], Field(strict=False, min_length=1)]


class RejectNumbers(_FaultFilter):
    """A create, add or delete succeeds without the given `numbers`; the answer lists them in `output.error`
    under `status: success`."""

    only = "ozonetel"

    kind: Literal["reject_numbers"] = "reject_numbers"
    numbers: Annotated[frozenset[_Number], Field(strict=False, min_length=1)]


class KillToken(_FaultFilter):
    """The token of the call is revoked before the call is processed, for all other calls as well."""

    only = "ozonetel"

    kind: Literal["kill_token"] = "kill_token"


class RefuseNumbers(_FaultFilter):
    """A create, add or replace with one of `numbers` is refused (1002, or `invalid data`)."""

    kind: Literal["refuse_numbers"] = "refuse_numbers"
    # Not strict for the container, because a JSON array is parsed as a list.
    numbers: Annotated[frozenset[_Number], Field(strict=False, min_length=1)]


class VendorCode(_FaultFilter):
    """The answer has this code of the vendor (any but 0), with `msg` or the vendor's text for the code."""

    only = "nxcloud"

    kind: Literal["code"] = "code"
    code: Annotated[int, AfterValidator(_not_success)]
    msg: str | None = None


class AuthenticationFailed(_FaultFilter):
    """The vendor's answer to a wrong user name or API key, with HTTP 401 or 200."""

    only = "ozonetel"

    kind: Literal["authentication_failed"] = "authentication_failed"
    http: Literal[200, 401] = 401


class ErrorAnswer(_FaultFilter):
    """The answer is any error in the vendor's format, in which three values of `status` are known."""

    only = "ozonetel"

    kind: Literal["error"] = "error"
    message: str
    status: Literal["error", "fail", "false"] = "error"
    errors: Mapping[str, str] | None = None
    http: int = Field(default=200, ge=200, le=599)


class Throttle(_FaultFilter):
    """HTTP 429 with `Retry-After: retry_after`, unchecked (None: no header).

    - `body`: the status is 200 instead, and only the body reports the rate limit.
    - `msg`: the message. Ozonetel's default is its own text.
    - `code`: the code, for NXCloud only.
    """

    kind: Literal["throttle"] = "throttle"
    retry_after: _HeaderValue | None = "1"
    body: bool = False
    code: Annotated[int, AfterValidator(_not_success)] = 9999
    msg: str = "rate limit exceeded: too many requests, try again later"


class Redirect(_FaultFilter):
    """HTTP 302 to another host."""

    kind: Literal["redirect"] = "redirect"
    location: _HeaderValue = "http://elsewhere.invalid/api/pns/"


class Status(_FaultFilter):
    """An HTTP status with a raw `body` (None: a gateway's HTML page), and `Retry-After` if it is set."""

    kind: Literal["status"] = "status"
    status: int = Field(ge=200, le=599)
    body: str | None = None
    content_type: _HeaderValue = "application/json"
    applied: bool = False
    retry_after: _HeaderValue | None = None


class Garbage(_FaultFilter):
    """HTTP 200 with an invalid body.

    - `html`: an HTML page.
    - `truncated`: the first half of the JSON.
    - `cut`: fewer bytes than `Content-Length` announces; then the connection closes.
    - `drip`: JSON without an end, one byte every `interval_ms` milliseconds.
    """

    kind: Literal["garbage"] = "garbage"
    form: Literal["html", "truncated", "cut", "drip"] = "html"
    interval_ms: Annotated[int, Field(ge=1, le=3_600_000)] = 1000
    applied: bool = False


class Lost(_FaultFilter):
    """The change is made, and the connection closes without an answer."""

    kind: Literal["lost"] = "lost"


class Drop(_FaultFilter):
    """The connection closes without an answer, and nothing is changed."""

    kind: Literal["drop"] = "drop"


class Late(_FaultFilter):
    """The connection closes at once, and the call is applied `delay_ms` milliseconds later.

    It is not applied if its `ts` (NXCloud), or its token or API key (Ozonetel), is no longer accepted.
    """

    kind: Literal["late"] = "late"
    delay_ms: _Ms


RefusingFault = RefuseNumbers | VendorCode | AuthenticationFailed | ErrorAnswer
AnsweringFault = RefusingFault | Throttle | Redirect | Status | Garbage | Lost | Drop | Late
ModifyingFault = Latency | CodeAsString | Compressed | PageCap | HideGroups | RejectNumbers | KillToken
Fault = ModifyingFault | AnsweringFault

_FAULT: TypeAdapter[Fault] = TypeAdapter(Annotated[Fault, Field(discriminator="kind")])


def read_faults(value: Any) -> list[Fault]:
    """Reads faults from one JSON object, or from an array of objects.

    Raises `ValueError`, which names the field and the reason, if any of them is invalid.
    """
    several = isinstance(value, list)
    faults: list[Fault] = []
    for n, item in enumerate(value if several else [value]):
        try:
            faults.append(_FAULT.validate_python(item))
        except ValidationError as error:
            raise ValueError(_explain(error, f"faults[{n}]" if several else "fault")) from None
    return faults


def _explain(error: ValidationError, where: str) -> str:
    reasons = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        # Every path begins with the fault's kind, which the message does not need.
        field = ".".join(str(part) for part in detail["loc"][1:])
        reasons.append(f"{where}{'.' + field if field else ''}: {detail['msg']}")
    return "; ".join(reasons)
