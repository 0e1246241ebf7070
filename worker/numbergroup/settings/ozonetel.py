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

    `auth` is `basic` unless it is set: the vendor announces `legacy` as deprecated [S], and a token that is
    made here would kill that of any other program which uses the account [V].
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
        description="Where the vendor's API is. International accounts: "
        "`https://api.ccaas.ozonetel.com`; partners have their own.",
    )
    # No colon in a user of HTTP Basic (RFC 7617).
    username: str = Field(repr=False, pattern="^[!-9;-~]+$", description="The CloudAgent user name.")
    api_key: SecretStr = Field(description="The user's API key.")
    username_file: Path | None = Field(
        None, description="Instead of `USERNAME`: a file that holds it and nothing else. Both is an error."
    )
    api_key_file: Path | None = Field(
        None, description="Instead of `API_KEY`: a file that holds it and nothing else. Both is an error."
    )
    numbers_per_call: int = Field(MAX_NUMBERS_PER_CALL, ge=1, le=MAX_NUMBERS_PER_CALL)  # [S]
    request_lasts_s: float = Field(
        60.0,  # [I]
        ge=0.001,
        le=3600,
        description="Seconds for which a request without an answer may still take effect. Nothing is "
        "signed here, so this is how long a request may be under way.",
    )
    timezone: str = Field(
        "Asia/Kolkata",  # [I]
        validate_default=True,
        description="The zone in which the vendor reads expiry dates; it does not document one.",
    )
    description_length: int = Field(
        50,  # [I]
        ge=2,
        le=1024,
        description="The most characters of a description, which is a create's `remark`. The vendor "
        "refuses long ones and does not document the limit.",
    )
    national_numbers: str = Field(
        "refuse",  # the vendor's way with ten digits: [S]
        description="What happens to a number of ten digits, which the vendor takes for an Indian one "
        "without its country code. `refuse`: its command is `rejected` (`invalid`). A "
        "country code such as `91`: it is put before the ten digits.",
    )
    # Where the vendor's pages do not agree; also seen: updateBlockNumber, deleteBlockNumberGroup [V]
    create_path: ApiPath | None = Field(
        None, description="The path of the URL that makes a group. Without it: as documented for `AUTH`."
    )
    update_path: ApiPath | None = Field(
        None,
        description="The path that changes a group. Without it: as documented for `AUTH`. The vendor's "
        "pages also have `/ca_apis/updateBlockNumber`.",
    )
    delete_path: ApiPath | None = Field(
        None,
        description="The path that deletes numbers. Without it: as documented for `AUTH`. The vendor's "
        "pages also have `/ca_apis/deleteBlockNumberGroup`.",
    )
    token_path: ApiPath | None = Field(
        None, description="The path that makes a token. Without it: as documented."
    )
    update_group_field: ApiField | None = Field(
        None,
        description="The name of the group's field in an update. Without it: `groupName`; `Id` with "
        "`AUTH=legacy`.",
    )
    delete_group_field: ApiField | None = Field(
        None,
        description="The name of the group's field in a deletion. Without it: `groupName`; `id` with "
        "`AUTH=legacy`.",
    )
    numbers_field: ApiField | None = Field(
        None, description="The name of the field with the numbers. Without it: `blockNumbers`."
    )
    # The vendor has no codes: these are ours for its documented messages.
    throttle_codes: Codes = ("max-limit-exceeded",)
    account_fault_codes: Codes = ("authentication-failed", "invalid-token")
    permanent_codes: Codes = ("parameters-mandatory", "invalid-group-id", "invalid-data")

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"is {value!r:.60}, which is no time zone: name one like Asia/Kolkata") from None
        return value

    @field_validator("national_numbers", mode="before")
    @classmethod
    def _is_a_country_code(cls, value: Any) -> Any:
        text = str(value) if type(value) is int else value
        text = text.strip().lower().removeprefix("+") if isinstance(text, str) else text
        if not isinstance(text, str) or not re.fullmatch("refuse|[1-9][0-9]{0,2}", text, re.ASCII):
            raise ValueError(f"is {value!r:.40}: it must be refuse, or a country code such as 91")
        return text

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr) -> SecretStr:
        if not all("!" <= one <= "~" for one in value.get_secret_value()):
            raise ValueError("must consist of visible ASCII characters")
        return value

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.username, self.api_key.get_secret_value())

    @property
    def lasts_s(self) -> float:
        return self.request_lasts_s

    @property
    def notices(self) -> tuple[str, ...]:
        if self.auth != "legacy":
            return super().notices
        deprecated = (
            "AUTH=legacy: the vendor has announced these paths as deprecated; set AUTH=basic (or token), "
            "with which a groupId is the group's name"
        )
        return (*super().notices, deprecated)

    def vendor(self) -> Ozonetel:
        given = {one.name: getattr(self, one.name) for one in fields(Api)}
        documented = LEGACY if self.auth == "legacy" else CURRENT
        return Ozonetel(
            self.base_url,
            self.auth,
            replace(documented, **{key: value for key, value in given.items() if value is not None}),
            self.classes,
            replace(
                CAPABILITIES,
                numbers_per_call=self.numbers_per_call,
                number_pattern=self.number_pattern,
                normalize_number=None
                if self.national_numbers == "refuse"
                else build_country_code_prefixer(self.national_numbers),
            ),
            self.lasts_s,
            ZoneInfo(self.timezone),
            self.description_length,
        )
