"""The settings of an Ozonetel account."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator

from numbergroup.settings.account import AccountSettings
from numbergroup.settings.urls import OZONETEL, OzonetelUrl
from numbergroup.settings.values import Choice, Codes
from numbergroup.vendors.ozonetel import CAPABILITIES, MAX_NUMBERS_PER_CALL, Ozonetel
from numbergroup.vendors.ozonetel_api import CURRENT, LEGACY, Api
from numbergroup.vendors.ozonetel_numbers import build_country_code_prefixer
from numbergroup.vendors.port import Credentials

ApiPath = Annotated[str, Field(pattern=r"^/[!$-~]*$")]  # of a URL: what follows a # would not be sent
ApiField = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class OzonetelAccount(AccountSettings, frozen=True):
    """An account of Ozonetel's CloudAgent.

    The default of `auth` is `basic`. The vendor announces `legacy` as deprecated [S], and a new token revokes
    the token of any other program that uses the account [V].
    """

    name_key: ClassVar[str] = "username"
    secret_key: ClassVar[str] = "api_key"  # noqa: S105

    provider: Annotated[Literal["ozonetel"], Choice]
    auth: Annotated[Literal["legacy", "basic", "token"], Choice] = Field(
        "basic",
        description="How requests are authenticated: `basic` (the header `apiKey`), `token`, or "
        "`legacy`, which the vendor has announced as deprecated.",
    )
    base_url: OzonetelUrl = Field(  # [S]; international [V]
        OZONETEL,
        description="The URL of the vendor's API. International accounts use "
        "`https://api.ccaas.ozonetel.com`; partners have their own.",
    )
    # A user name of HTTP Basic has no colon (RFC 7617).
    username: str = Field(repr=False, pattern="^[!-9;-~]+$", description="The CloudAgent user name.")
    api_key: SecretStr = Field(description="The user's API key.")
    username_file: Path | None = Field(
        None, description="A file that contains only the `USERNAME`. Setting both is an error."
    )
    api_key_file: Path | None = Field(
        None, description="A file that contains only the `API_KEY`. Setting both is an error."
    )
    numbers_per_call: int = Field(MAX_NUMBERS_PER_CALL, ge=1, le=MAX_NUMBERS_PER_CALL)  # [S]
    request_lasts_s: float = Field(
        60.0,  # [I]
        ge=0.001,
        le=3600,
        description="Seconds for which a request without an answer may still take effect. Requests "
        "are not signed, so this is the longest time that a request may be in transit.",
    )
    timezone: str = Field(
        "Asia/Kolkata",  # [I]
        validate_default=True,
        description="The time zone of the vendor's expiry dates, which it does not document.",
    )
    description_length: int = Field(
        50,  # [I]
        ge=2,
        le=1024,
        description="The most characters in a group's description, which is a create's `remark`. The vendor "
        "refuses longer ones and does not document the limit.",
    )
    national_numbers: str = Field(
        "refuse",  # the vendor's treatment of ten digits: [S]
        description="The treatment of numbers with ten digits, which the vendor reads as Indian numbers "
        "without a country code. `refuse`: the command is `rejected` (`invalid`). A "
        "country code such as `91`: the worker puts it before the ten digits.",
    )
    # The vendor's pages contradict each other here; they also have updateBlockNumber and
    # deleteBlockNumberGroup [V].
    create_path: ApiPath | None = Field(
        None, description="The URL path that creates a group. Default: as documented for `AUTH`."
    )
    update_path: ApiPath | None = Field(
        None,
        description="The URL path that updates a group. Default: as documented for `AUTH`. The vendor's "
        "pages also have `/ca_apis/updateBlockNumber`.",
    )
    delete_path: ApiPath | None = Field(
        None,
        description="The URL path that deletes numbers. Default: as documented for `AUTH`. The vendor's "
        "pages also have `/ca_apis/deleteBlockNumberGroup`.",
    )
    token_path: ApiPath | None = Field(
        None, description="The URL path that generates a token. Default: as documented."
    )
    update_group_field: ApiField | None = Field(
        None,
        description="The field that names the group in an update. Default: `groupName`; `Id` with "
        "`AUTH=legacy`.",
    )
    delete_group_field: ApiField | None = Field(
        None,
        description="The field that names the group in a deletion. Default: `groupName`; `id` with "
        "`AUTH=legacy`.",
    )
    numbers_field: ApiField | None = Field(
        None, description="The field with the numbers. Default: `blockNumbers`."
    )
    # The vendor has no codes. These are our own codes for its documented messages.
    throttle_codes: Codes = ("max-limit-exceeded",)
    account_fault_codes: Codes = ("authentication-failed", "invalid-token")
    permanent_codes: Codes = ("parameters-mandatory", "invalid-group-id", "invalid-data")

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"is {value!r:.60}, which is no time zone: name one like Asia/Kolkata") from None
        return value

    @field_validator("national_numbers", mode="before")
    @classmethod
    def _check_country_code(cls, value: Any) -> Any:
        text = str(value) if type(value) is int else value
        text = text.strip().lower().removeprefix("+") if isinstance(text, str) else text
        if not isinstance(text, str) or not re.fullmatch("refuse|[1-9][0-9]{0,2}", text, re.ASCII):
            raise ValueError(f"is {value!r:.40}: it must be refuse, or a country code such as 91")
        return text

    @field_validator("api_key")
    @classmethod
    def _check_header_value(cls, value: SecretStr) -> SecretStr:
        if not all("!" <= character <= "~" for character in value.get_secret_value()):
            raise ValueError("must consist of visible ASCII characters")
        return value

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.username, self.api_key.get_secret_value())

    @property
    def acceptance_window_s(self) -> float:
        return self.request_lasts_s

    @property
    def warnings(self) -> tuple[str, ...]:
        if self.auth != "legacy":
            return super().warnings
        deprecated = (
            "AUTH=legacy: the vendor has announced these paths as deprecated; set AUTH=basic (or token), "
            "with which a groupId is the group's name"
        )
        return (*super().warnings, deprecated)

    def create_provider(self) -> Ozonetel:
        custom = {field.name: getattr(self, field.name) for field in fields(Api)}
        documented = LEGACY if self.auth == "legacy" else CURRENT
        return Ozonetel(
            self.base_url,
            self.auth,
            replace(documented, **{key: value for key, value in custom.items() if value is not None}),
            self.failure_classifier,
            replace(
                CAPABILITIES,
                numbers_per_call=self.numbers_per_call,
                number_pattern=self.number_pattern,
                normalize_number=None
                if self.national_numbers == "refuse"
                else build_country_code_prefixer(self.national_numbers),
            ),
            self.acceptance_window_s,
            ZoneInfo(self.timezone),
            self.description_length,
        )
