"""How a sandbox behaves for as long as it runs, apart from the faults that are asked for later."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]


class Options(BaseModel):
    """Permanent options.

    - `credentials`: NXCloud's access key → secret; each access key is a customer with groups of its own.
    - `numbers_per_call`: more numbers in one call are refused with 1002 (NXCloud documents no number; that of
      Ozonetel is 100).
    - `calls_per_second`: over all calls of all customers of a vendor, in every sliding second; more are
      answered with HTTP 429 and `Retry-After: 1`. None: no cap.
    - `strict_groups`: the vendor does not document what an unknown group id gets. False: `updateGroup`
      adopts it as a new group and `deleteGroup` succeeds; True: both are refused with 1002.
    - `signature_lasts_s`: how far a request's `ts` may be from the sandbox's clock (the vendor: 60 s).
    - `ozonetel_credentials`: Ozonetel's user name → API key; each user has groups and a token of its own.
    - `token_lasts_s`, `tokens_an_hour`: of Ozonetel's tokens (the vendor: 60 minutes, 10).
    - `latency_ms`: how long every call takes before it is looked at.
    - `seed`: of all chance there is: group ids, jitter, a fault's probability.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    credentials: Mapping[_HeaderValue, _HeaderValue] = Field(
        default_factory=lambda: {"sandbox-key": "sandbox-secret"}, min_length=1
    )
    ozonetel_credentials: Mapping[_HeaderValue, _HeaderValue] = Field(
        default_factory=lambda: {"sandbox": "sandbox-api-key"}, min_length=1
    )
    token_lasts_s: float = Field(default=3600.0, gt=0, le=86_400)
    tokens_an_hour: int = Field(default=10, ge=1)
    numbers_per_call: int = Field(default=1000, ge=1)
    calls_per_second: int | None = Field(default=None, ge=1)
    strict_groups: bool = False
    signature_lasts_s: float = Field(default=60.0, gt=0, le=3600)
    latency_ms: int = Field(default=0, ge=0, le=3_600_000)
    seed: int = 0
