"""Options that a sandbox has for its whole run. Faults are added later."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]


class Options(BaseModel):
    """The options of a sandbox.

    - `credentials`: NXCloud's access keys and their secrets. Each access key is a customer with its own
      groups.
    - `numbers_per_call`: the maximum of numbers in one call to NXCloud, which documents none. More are
      refused with 1002. Ozonetel's maximum is always 100.
    - `calls_per_second`: the rate limit of each vendor, for all its customers together, in every sliding
      second. More calls are answered with HTTP 429 and `Retry-After: 1`. None: no limit.
    - `strict_groups`: the treatment of an unknown group id, which NXCloud does not document. False:
      `updateGroup` creates the group and `deleteGroup` succeeds. True: both are refused with 1002.
    - `signature_lasts_s`: the most seconds between a request's `ts` and the sandbox's clock (NXCloud: 60).
    - `ozonetel_credentials`: Ozonetel's user names and their API keys. Each user has its own groups and
      token.
    - `token_lasts_s`: the lifetime of Ozonetel's tokens in seconds (the vendor: 3600).
    - `tokens_an_hour`: the maximum of tokens that Ozonetel issues to a user in an hour (the vendor: 10).
    - `latency_ms`: milliseconds that every call waits before it is processed.
    - `seed`: the seed of all randomness: group ids, jitter, the probability of faults.
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
