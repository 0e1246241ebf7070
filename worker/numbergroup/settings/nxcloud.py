"""The settings of an NXCloud account."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from numbergroup.settings.account import AccountSettings
from numbergroup.settings.urls import NXCLOUD, NXCloudUrl
from numbergroup.settings.values import Choice, Codes
from numbergroup.vendors.nxcloud import CAPABILITIES, NXCloud
from numbergroup.vendors.port import Credentials


class NXCloudAccount(AccountSettings, frozen=True):
    """An account of NXCloud's privacy number service."""

    name_key: ClassVar[str] = "access_key"
    secret_key: ClassVar[str] = "access_secret"  # noqa: S105
    success: ClassVar[str | None] = "0"

    provider: Annotated[Literal["nxcloud"], Choice] = "nxcloud"
    # [S]; newer pages have https://api.nxcloud.com/v1/api/pns/ [V]
    base_url: NXCloudUrl = NXCLOUD
    access_key: str = Field(repr=False, pattern="^[!-~]+$", description="The vendor's `accessKey`.")
    access_secret: SecretStr = Field(description="The vendor's `accessSecret`, which signs every request.")
    access_key_file: Path | None = Field(
        None, description="A file that contains only the `ACCESS_KEY`. Setting both is an error."
    )
    access_secret_file: Path | None = Field(
        None, description="A file that contains only the `ACCESS_SECRET`. Setting both is an error."
    )
    algorithm: Annotated[Literal["md5", "sha256"], Choice] = Field(
        "md5",  # [V]
        description="The hash algorithm of the signature.",
    )
    numbers_per_call: int = Field(1000, ge=1, le=100_000)  # [I]
    signature_lasts_s: float = Field(
        60.0,  # [V]
        ge=0.001,
        le=3600,
        description="Seconds for which a request without an answer may still take effect. The vendor "
        "says 60.",
    )
    create_marker: Annotated[Literal["remark", "none"], Choice] = Field(
        "remark",  # [I]
        description="How the worker finds the group of a create whose answer is lost. `remark`: by a marker "
        "that the create puts at the beginning of the group's remark. `none`: by name and numbers. Then give "
        "every group a unique name; of two with the same name and numbers, the wrong one may be found.",
    )
    # The codes' meanings are [V].
    retryable_codes: Codes = ("10009", "1004")  # failed to retrieve data; timestamp expired
    account_fault_codes: Codes = ("1001", "1003", "1005", "10003")  # headers, signature, permission, user
    permanent_codes: Codes = ("1002", "10004", "10011", "10012")  # parameters, country code, limit, offset

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.access_key, self.access_secret.get_secret_value())

    @property
    def acceptance_window_s(self) -> float:
        return self.signature_lasts_s

    @property
    def marks_creates(self) -> bool:
        return self.create_marker == "remark"

    def create_provider(self) -> NXCloud:
        capabilities = replace(
            CAPABILITIES, numbers_per_call=self.numbers_per_call, number_pattern=self.number_pattern
        )
        return NXCloud(
            self.base_url,
            self.algorithm,
            self.failure_classifier,
            capabilities,
            acceptance_window_s=self.acceptance_window_s,
        )
