"""The faults that can be asked for: what each one is, and strict reading of them. Pure.

The tree, by what becomes of the call:

    it goes on          latency, compressed, code_as_string, page_cap and hide_groups (NXCloud's only),
                        reject_numbers and kill_token (Ozonetel's)
    it is refused       refuse_numbers, throttle, redirect, code (NXCloud's), authentication_failed and error
                        (Ozonetel's)
    it may be applied,  status, garbage      (`applied`: the change is made, the answer hides it)
    it gets no answer   lost (applied), drop (not applied), late (applied after `delay_ms`)
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
    """Which calls a fault meets, and how often. Without a filter, every call.

    `only`: the vendor whose calls this kind can meet, if it is not every vendor's.
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
    """The call waits `ms`, plus up to `jitter_ms` more, before it is looked at."""

    kind: Literal["latency"] = "latency"
    ms: _Ms
    jitter_ms: _Ms = 0


class CodeAsString(_FaultFilter):
    """`code` is answered as a string, as other products of the vendor do."""

    only = "nxcloud"

    kind: Literal["code_as_string"] = "code_as_string"


class Compressed(_FaultFilter):
    """The answer is compressed, whatever the client accepts. `br`: the header says so, and the bytes are none
    that this could be."""

    kind: Literal["compressed"] = "compressed"
    coding: Literal["gzip", "deflate", "br"] = "gzip"


class PageCap(_FaultFilter):
    """A listing has `most` groups a page at most, whatever its `limit`; `total` counts them all."""

    only = "nxcloud"

    kind: Literal["page_cap"] = "page_cap"
    most: int = Field(ge=1, le=1000)


class HideGroups(_FaultFilter):
    """A listing leaves out these groups, which `total` counts all the same."""

    only = "nxcloud"

    kind: Literal["hide_groups"] = "hide_groups"
    groups: Annotated[frozenset[str], Field(strict=False, min_length=1)]


class RejectNumbers(_FaultFilter):
    """Those of `numbers` that a create, add or delete names are not taken, and the answer says so number by
    number (`output.error`) under `status: success`."""

    only = "ozonetel"

    kind: Literal["reject_numbers"] = "reject_numbers"
    numbers: Annotated[frozenset[_Number], Field(strict=False, min_length=1)]


class KillToken(_FaultFilter):
    """The token that the call bears dies before the call is looked at, and is dead for all others, too."""

    only = "ozonetel"

    kind: Literal["kill_token"] = "kill_token"


class RefuseNumbers(_FaultFilter):
    """A create, add or replace that names one of `numbers` is refused for that: 1002, or `invalid data`."""

    kind: Literal["refuse_numbers"] = "refuse_numbers"
    # Lax in the container only: a JSON array arrives as a list.
    numbers: Annotated[frozenset[_Number], Field(strict=False, min_length=1)]


class VendorCode(_FaultFilter):
    """Any of the vendor's codes but 0, with the vendor's text for it or with `msg`."""

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
    """Any error in the vendor's form: its `status` has been seen in three ways."""

    only = "ozonetel"

    kind: Literal["error"] = "error"
    message: str
    status: Literal["error", "fail", "false"] = "error"
    errors: Mapping[str, str] | None = None
    http: int = Field(default=200, ge=200, le=599)


class Throttle(_FaultFilter):
    """HTTP 429 with `retry_after` as it stands (None: no header). `body`: HTTP 200, and `msg` says it.

    `msg`: without one the vendor's own text, if it has any. `code`: NXCloud's, Ozonetel has none.
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
    """An HTTP status with a raw `body` (None: a gateway's HTML page), and `Retry-After` if it is given."""

    kind: Literal["status"] = "status"
    status: int = Field(ge=200, le=599)
    body: str | None = None
    content_type: _HeaderValue = "application/json"
    applied: bool = False
    retry_after: _HeaderValue | None = None


class Garbage(_FaultFilter):
    """HTTP 200 with what is no answer.

    `html`: a page. `truncated`: JSON that stops half way. `cut`: fewer bytes than `Content-Length` announces,
    then the connection ends. `drip`: JSON without end, one byte every `interval_ms`.
    """

    kind: Literal["garbage"] = "garbage"
    form: Literal["html", "truncated", "cut", "drip"] = "html"
    interval_ms: Annotated[int, Field(ge=1, le=3_600_000)] = 1000
    applied: bool = False


class Lost(_FaultFilter):
    """The change is made; the connection ends with no answer."""

    kind: Literal["lost"] = "lost"


class Drop(_FaultFilter):
    """The connection ends with no answer, and nothing is changed."""

    kind: Literal["drop"] = "drop"


class Late(_FaultFilter):
    """The connection ends now; the call arrives `delay_ms` later, if its `ts` (NXCloud) or its token or API
    key (Ozonetel) is still accepted then."""

    kind: Literal["late"] = "late"
    delay_ms: _Ms


RefusingFault = RefuseNumbers | VendorCode | AuthenticationFailed | ErrorAnswer
AnsweringFault = RefusingFault | Throttle | Redirect | Status | Garbage | Lost | Drop | Late
ModifyingFault = Latency | CodeAsString | Compressed | PageCap | HideGroups | RejectNumbers | KillToken
Fault = ModifyingFault | AnsweringFault

_FAULT: TypeAdapter[Fault] = TypeAdapter(Annotated[Fault, Field(discriminator="kind")])


def read_faults(value: Any) -> list[Fault]:
    """Faults from one JSON object or an array of them.

    Raises `ValueError` that names the place and the reason; then none of them is to be used.
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
        # The discriminator's value leads every path, and the reader knows it already.
        field = ".".join(str(part) for part in detail["loc"][1:])
        reasons.append(f"{where}{'.' + field if field else ''}: {detail['msg']}")
    return "; ".join(reasons)
