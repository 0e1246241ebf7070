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
        None, description="Instead of `ACCESS_KEY`: a file that holds it and nothing else. Both is an error."
    )
    access_secret_file: Path | None = Field(
        None,
        description="Instead of `ACCESS_SECRET`: a file that holds it and nothing else. Both is an error.",
    )
    algorithm: Annotated[Literal["md5", "sha256"], Choice] = Field(
        "md5",  # [V]
        description="The digest that the signature is made with.",
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
        description="`remark`: a create leaves a marker at the beginning of the group's remark, to find the "
        "group when the answer is lost. `none`: a lost create is recognised by name and "
        "numbers, so give every group a name of its own; of two with the same name and "
        "numbers, the wrong one may be found.",
    )
    # The codes' meanings are [V].
    retryable_codes: Codes = ("10009", "1004")  # failed to retrieve data; timestamp expired
    account_fault_codes: Codes = ("1001", "1003", "1005", "10003")  # headers, signature, permission, user
    permanent_codes: Codes = ("1002", "10004", "10011", "10012")  # parameters, country code, limit, offset

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.access_key, self.access_secret.get_secret_value())

    @property
    def lasts_s(self) -> float:
        return self.signature_lasts_s

    @property
    def marks_creates(self) -> bool:
        return self.create_marker == "remark"

    def vendor(self) -> NXCloud:
        can = replace(
            CAPABILITIES, numbers_per_call=self.numbers_per_call, number_pattern=self.number_pattern
        )
        return NXCloud(self.base_url, self.algorithm, self.classes, can, acceptance_window_s=self.lasts_s)
