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

from numbergroup.settings.values import Choice, Codes, Seconds, Share, Texts, sane
from numbergroup.vendors.classification import FailureClass, FailureClassifier
from numbergroup.vendors.port import Credentials, Provider

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

    provider: str = Field(
        description="The account's vendor. A command's `account` is the account's `<name>` in lower "
        "case; without one it is `default`. Commands for an account that is not configured "
        "are `rejected`. A key of another vendor is an error."
    )
    base_url: str = Field(description="Where the vendor's API is.")
    calls_per_second: float = Field(
        10.0,  # [I]
        ge=0.001,
        le=1_000_000,
        description="The rate limit, over all workers together. Calls are evenly spaced, a little below "
        "the figure, so that no sliding second has more.",
    )
    max_in_flight: int = Field(
        16, ge=1, le=1024, description="Calls of one worker for this account at the same time."
    )
    numbers_per_call: int = Field(description="The most numbers in one call.")
    number_pattern: str | None = Field(
        None,
        description="A regular expression for a whole number. Commands with other numbers are `rejected` "
        "(`invalid`) before any call. Without it: what the contract allows.",
    )
    connect_timeout_s: Seconds = Field(3.0, description="Seconds for connecting to the vendor.")
    timeout_s: Seconds = Field(
        8.0,
        description="Seconds for one attempt, connecting included; at most 80 % of `LEASE_TTL_S`.",
    )
    retry_attempts: int = Field(
        3, ge=1, le=10, description="Attempts within one call, before its group is parked."
    )
    breaker_share: Share = Field(
        0.5,
        description="The share of failing calls at which the breaker opens: then there is one probe at a "
        "time.",
    )
    breaker_max_open_s: Seconds = Field(60.0, description="The longest wait between two probes, in seconds.")
    isolation_share: Share = Field(
        0.25, description="The share of `CALLS_PER_SECOND` that may be spent on halving refused batches."
    )
    # What the defaults say about trying again is [I].
    throttle_codes: Codes = Field((), description='Codes that mean "too fast".')
    throttle_texts: Texts = Field(
        (),
        description='Fragments of messages that mean "too fast"; case does not matter. Without this setting, '
        "the usual wordings of a rate limit are understood.",
    )
    retryable_codes: Codes = Field(
        (),
        description="Codes of failures that may pass by themselves. A status is written like a code: "
        "`http-503`.",
    )
    retryable_texts: Texts = Field(
        (), description="Fragments of messages of failures that may pass by themselves."
    )
    account_fault_codes: Codes = Field(
        (), description="Codes that no call of the account can succeed with, such as wrong credentials."
    )
    account_fault_texts: Texts = Field((), description="Fragments of messages that mean the same.")
    permanent_codes: Codes = Field(
        (), description="Codes of what the vendor refuses however often it is asked."
    )
    permanent_texts: Texts = Field((), description="Fragments of messages that mean the same.")
    unknown_codes: Annotated[Literal["refused", "retryable", "account-fault"], Choice] = Field(
        "refused",
        description="What a code means that is in no class. `refused` is believed after `RETRY_ATTEMPTS` "
        "attempts.",
    )

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
    def classes(self) -> FailureClassifier:
        """What the vendor's errors mean. Of several texts in one message that of the class decides that does
        the least harm if it is wrong."""
        classes = {
            FailureClass.THROTTLED: (self.throttle_codes, self.throttle_texts),
            FailureClass.ACCOUNT_FAULT: (self.account_fault_codes, self.account_fault_texts),
            FailureClass.RETRYABLE: (self.retryable_codes, self.retryable_texts),
            FailureClass.REFUSED: (self.permanent_codes, self.permanent_texts),
        }
        return FailureClassifier(
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
