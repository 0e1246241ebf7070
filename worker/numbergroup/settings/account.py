"""The settings that an account has whoever its vendor is, and what a vendor's own have to say.

Marks on a vendor's facts: [S] its page, [V] another page of its documentation, [I] inferred.
"""

import ipaddress
import re
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from numbergroup.providers.classes import Classes, FailureClass
from numbergroup.providers.port import Credentials, Provider
from numbergroup.settings.values import Choice, Codes, Positive, Share, Texts, sane

CLASSES = ("throttle", "account_fault", "retryable", "permanent")
"""What `_CODES` and `_TEXTS` are settings for; a text of the first that has one decides."""


class AccountSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False):
    """One vendor account; each vendor has a subclass, which is in `numbergroup.settings.vendors.VENDORS`.

    What the vendor does not document ([I]) is a key, so that it can be corrected. A subclass says by
    `name_key` and `secret_key` which of its keys are the credentials; each has a `_file` beside it, that
    holds it instead. `success`: the code that can be in no class of failures.
    """

    name_key: ClassVar[str]
    secret_key: ClassVar[str]
    success: ClassVar[str | None] = None

    provider: str
    base_url: str
    calls_per_second: Positive = 10.0  # over all workers together [I]
    max_in_flight: int = Field(16, ge=1, le=1024)
    numbers_per_call: int
    number_pattern: str | None = None  # what a whole number must match; None: as the contract has it
    connect_timeout_s: Positive = 3.0
    timeout_s: Positive = 8.0  # of one attempt, connecting included
    retry_attempts: int = Field(3, ge=1, le=10)  # of one call, before its group parks
    breaker_share: Share = 0.5  # of calls that fail, from which on there is only one probe at a time
    breaker_max_open_s: Positive = 60.0  # the longest wait between two probes
    isolation_share: Share = 0.25  # of calls_per_second that may go into halving refused batches
    # What an error means: by fragments of its text, in any case, and by its code (`http-503`: an HTTP status
    # without a verdict in the body). What they say about trying again is [I].
    throttle_codes: Codes = ()
    throttle_texts: Texts = ()
    retryable_codes: Codes = ()
    retryable_texts: Texts = ()
    account_fault_codes: Codes = ()
    account_fault_texts: Texts = ()
    permanent_codes: Codes = ()
    permanent_texts: Texts = ()
    unknown_codes: Annotated[Literal["refused", "retryable", "account-fault"], Choice] = "refused"

    _every_value = field_validator("*", mode="before")(sane)

    @property
    @abstractmethod
    def credentials(self) -> Credentials:
        """Who we are to the vendor."""

    @property
    @abstractmethod
    def lasts_s(self) -> float:
        """How long a request that nobody answered may still take effect."""

    @abstractmethod
    def vendor(self) -> Provider:
        """What speaks to the vendor as these settings have it. Pure: it opens nothing."""

    @property
    def marks_creates(self) -> bool:
        """Whether a create may bear a marker in its remark, by which a listing finds its group again."""
        return False

    @property
    def notices(self) -> tuple[str, ...]:
        """What to warn of when a worker starts."""
        return ("phone numbers travel unencrypted: BASE_URL is plain http",) if self.insecure else ()

    @property
    def classes(self) -> Classes:
        """What the vendor's errors mean. Of several texts in one message that of the class decides that does
        the least harm if it is wrong."""
        classes = {
            FailureClass.THROTTLED: (self.throttle_codes, self.throttle_texts),
            FailureClass.ACCOUNT_FAULT: (self.account_fault_codes, self.account_fault_texts),
            FailureClass.RETRYABLE: (self.retryable_codes, self.retryable_texts),
            FailureClass.REFUSED: (self.permanent_codes, self.permanent_texts),
        }
        return Classes(
            {code: found for found, (codes, _) in classes.items() for code in codes},
            {text: found for found, (_, texts) in classes.items() for text in texts},
            FailureClass(self.unknown_codes),
            rate_wording="throttle_texts" not in self.model_fields_set,
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that the credentials were read from."""
        files = (getattr(self, f"{key}_file") for key in (self.name_key, self.secret_key))
        return tuple(file for file in files if file is not None)

    @property
    def insecure(self) -> bool:
        """Whether phone numbers travel unencrypted: plain http to a host that is not loopback."""
        parts = urlsplit(self.base_url)
        host = parts.hostname or ""
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = f".{host}".endswith(".localhost")
        return parts.scheme == "http" and not loopback

    @classmethod
    def credential_keys(cls) -> frozenset[str]:
        """The keys that a running worker takes over when they change."""
        return frozenset({f"{key}{end}" for key in (cls.name_key, cls.secret_key) for end in ("", "_file")})

    def in_two_classes(self) -> tuple[str, str, str] | None:
        """A code or a text that would have two meanings, and the two settings that have it."""
        for kind in ("codes", "texts"):
            owners: dict[str, str] = {}
            for name in CLASSES:
                field = f"{name}_{kind}"
                for sign in getattr(self, field):
                    first = owners.setdefault(sign.lower(), field)
                    if first != field:
                        return sign, first, field
        return None

    @field_validator("number_pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return value

    @field_validator(*(f"{name}_codes" for name in CLASSES))
    @classmethod
    def _are_failures(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if cls.success in value:
            raise ValueError(
                f"has {cls.success!r}, which is the vendor's success and no failure: leave it out"
            )
        return value
