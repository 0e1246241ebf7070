"""The settings of an NXCloud account."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from numbergroup.providers.nxcloud import CAPABILITIES, NXCloud
from numbergroup.providers.port import Credentials
from numbergroup.settings.account import AccountSettings
from numbergroup.settings.urls import NXCLOUD, NXCloudUrl
from numbergroup.settings.values import Choice, Codes, Texts


class NXCloudAccount(AccountSettings, frozen=True):
    """An account of NXCloud's privacy number service."""

    name_key: ClassVar[str] = "access_key"
    secret_key: ClassVar[str] = "access_secret"  # noqa: S105
    success: ClassVar[str | None] = "0"

    provider: Annotated[Literal["nxcloud"], Choice] = "nxcloud"
    base_url: NXCloudUrl = NXCLOUD  # [S]; newer pages have https://api.nxcloud.com/v1/api/pns/ [V]
    # Each of the two, or a file that holds it and nothing else
    access_key: str = Field(repr=False, pattern="^[!-~]+$")
    access_secret: SecretStr
    access_key_file: Path | None = None
    access_secret_file: Path | None = None
    algorithm: Annotated[Literal["md5", "sha256"], Choice] = "md5"  # of the signature [V]
    numbers_per_call: int = Field(1000, ge=1, le=100_000)  # [I]
    signature_lasts_s: float = Field(60.0, gt=0, le=3600)  # [V]: for so long it may take effect
    # Whether a create marks the group's remark, to find the group again when the answer is lost [I]
    create_marker: Annotated[Literal["remark", "none"], Choice] = "remark"
    # The codes' meanings are [V], the texts [I], the last one another vendor's [V].
    throttle_texts: Texts = ("rate limit", "too many requests", "frequency limit", "max limit exceeded")
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
