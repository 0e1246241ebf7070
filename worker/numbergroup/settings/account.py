"""The settings that accounts of all vendors have, and the interface of a vendor's own settings.

Sources of a vendor's facts: [S] its page, [V] another page of its documentation, [I] inferred.
"""

import ipaddress
import re
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from numbergroup.settings.values import Choice, Codes, Seconds, Share, Texts, normalize_value
from numbergroup.vendors.classification import FailureClass, FailureClassifier
from numbergroup.vendors.port import Credentials, Provider

FAILURE_CLASSES = ("throttle", "account_fault", "retryable", "permanent")
"""Prefixes of the settings `_CODES` and `_TEXTS`. If texts of several classes match, the first one wins."""


class AccountSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False):
    """The settings of one account. Each vendor has a subclass in `numbergroup.settings.vendors.VENDORS`.

    Facts that the vendor does not document ([I]) are keys, so that users can correct them.

    - `name_key`, `secret_key`: the keys of the credentials. Each has a second key with the suffix `_file`,
      which names a file with the value.
    - `success`: the vendor's code of a success, which no class of failures may have.
    """

    name_key: ClassVar[str]
    secret_key: ClassVar[str]
    success: ClassVar[str | None] = None

    provider: str = Field(
        description="The account's vendor. A command's `account` is the account's `<name>` in lower "
        "case, by default `default`. Commands for an account that is not configured "
        "are `rejected`. A key of another vendor is an error."
    )
    base_url: str = Field(description="The URL of the vendor's API.")
    calls_per_second: float = Field(
        10.0,  # [I]
        ge=0.001,
        le=1_000_000,
        description="The most calls per second, for all workers together. Calls are evenly spaced, a little "
        "below this rate, so that no sliding second has more.",
    )
    max_in_flight: int = Field(
        16, ge=1, le=1024, description="The most concurrent calls of one worker for this account."
    )
    numbers_per_call: int = Field(description="The most numbers in one call.")
    number_pattern: str | None = Field(
        None,
        description="A regular expression that a whole number must match. Commands with other numbers are "
        "`rejected` (`invalid`) before any call. Without it, all numbers that the contract allows are valid.",
    )
    connect_timeout_s: Seconds = Field(3.0, description="Timeout for connecting to the vendor, in seconds.")
    timeout_s: Seconds = Field(
        8.0,
        description="Timeout for one attempt, including the connection, in seconds. At most 80 % of "
        "`LEASE_TTL_S`.",
    )
    retry_attempts: int = Field(
        3, ge=1, le=10, description="The most attempts in one call, before its group is parked."
    )
    breaker_share: Share = Field(
        0.5,
        description="The share of failing calls, 0 to 1, at which the breaker opens. An open breaker allows "
        "one probe at a time.",
    )
    breaker_max_open_s: Seconds = Field(60.0, description="The longest wait between two probes, in seconds.")
    isolation_share: Share = Field(
        0.25, description="The share of `CALLS_PER_SECOND`, 0 to 1, for calls that halve refused batches."
    )
    # The defaults of the settings about retries are [I].
    throttle_codes: Codes = Field((), description='Codes that mean "too fast".')
    throttle_texts: Texts = Field(
        (),
        description='Fragments of messages that mean "too fast", case-insensitive. Without this setting, '
        "common messages about rate limits are recognized.",
    )
    retryable_codes: Codes = Field(
        (),
        description="Codes of temporary failures. An HTTP status is written as a code: `http-503`.",
    )
    retryable_texts: Texts = Field((), description="Fragments of messages of temporary failures.")
    account_fault_codes: Codes = Field(
        (), description="Codes of failures of all the account's calls, such as wrong credentials."
    )
    account_fault_texts: Texts = Field(
        (), description="Fragments of messages of failures of all the account's calls."
    )
    permanent_codes: Codes = Field((), description="Codes of permanent refusals.")
    permanent_texts: Texts = Field((), description="Fragments of messages of permanent refusals.")
    unknown_codes: Annotated[Literal["refused", "retryable", "account-fault"], Choice] = Field(
        "refused",
        description="The meaning of a code that no setting has. `refused` counts after `RETRY_ATTEMPTS` "
        "attempts.",
    )

    _every_value = field_validator("*", mode="before")(normalize_value)

    @property
    @abstractmethod
    def credentials(self) -> Credentials:
        """The credentials for the vendor."""

    @property
    @abstractmethod
    def acceptance_window_s(self) -> float:
        """Seconds for which a request without an answer may still take effect."""

    @abstractmethod
    def create_provider(self) -> Provider:
        """Returns the vendor's adapter with these settings. Pure: it opens no connection."""

    @property
    def marks_creates(self) -> bool:
        """Whether a create has a marker in its remark, by which a listing can find the created group."""
        return False

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings that a worker logs when it starts."""
        return ("phone numbers travel unencrypted: BASE_URL is plain http",) if self.is_insecure else ()

    @property
    def failure_classifier(self) -> FailureClassifier:
        """Classifies the vendor's errors.

        If a message contains texts of several classes, the class that does the least harm if it is wrong
        applies.
        """
        classes = {
            FailureClass.THROTTLED: (self.throttle_codes, self.throttle_texts),
            FailureClass.ACCOUNT_FAULT: (self.account_fault_codes, self.account_fault_texts),
            FailureClass.RETRYABLE: (self.retryable_codes, self.retryable_texts),
            FailureClass.REFUSED: (self.permanent_codes, self.permanent_texts),
        }
        return FailureClassifier(
            {code: meaning for meaning, (codes, _) in classes.items() for code in codes},
            {text: meaning for meaning, (_, texts) in classes.items() for text in texts},
            FailureClass(self.unknown_codes),
            rate_wording="throttle_texts" not in self.model_fields_set,
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the credentials."""
        files = (getattr(self, f"{key}_file") for key in (self.name_key, self.secret_key))
        return tuple(file for file in files if file is not None)

    @property
    def is_insecure(self) -> bool:
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
        """The keys whose changes a running worker applies without a restart."""
        return frozenset({f"{key}{end}" for key in (cls.name_key, cls.secret_key) for end in ("", "_file")})

    def find_ambiguous_sign(self) -> tuple[str, str, str] | None:
        """Returns a code or text that two settings have, and these two settings; None if there is none."""
        for kind in ("codes", "texts"):
            owners: dict[str, str] = {}
            for name in FAILURE_CLASSES:
                field = f"{name}_{kind}"
                for sign in getattr(self, field):
                    first = owners.setdefault(sign.lower(), field)
                    if first != field:
                        return sign, first, field
        return None

    @field_validator("number_pattern")
    @classmethod
    def _check_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return value

    @field_validator(*(f"{name}_codes" for name in FAILURE_CLASSES))
    @classmethod
    def _check_codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if cls.success in value:
            raise ValueError(
                f"has {cls.success!r}, which is the vendor's success and no failure: leave it out"
            )
        return value
