"""The pairs of access key and secret (Ozonetel: user name and API key) that are accepted, and their rotation.
Pure.

A rotation gives a customer another pair. With `overlap` the pairs before it are accepted as well, until the
next rotation without.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

_HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]


class Rotation(BaseModel):
    """What is asked for: another secret for `accessKey`, or another key as well."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    vendor: Literal["nxcloud"] = "nxcloud"
    secret: _HeaderValue
    access_key: _HeaderValue | None = Field(default=None, alias="accessKey")
    new_access_key: _HeaderValue | None = Field(default=None, alias="newAccessKey")
    overlap: bool = False


class OzonetelRotation(BaseModel):
    """What is asked for: another API key for `userName`, or another user name as well."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    vendor: Literal["ozonetel"]
    api_key: _HeaderValue = Field(alias="apiKey")
    user_name: _HeaderValue | None = Field(default=None, alias="userName")
    new_user_name: _HeaderValue | None = Field(default=None, alias="newUserName")
    overlap: bool = False


def is_about_ozonetel(value: Any) -> bool:
    """Whether a control request says that it is about Ozonetel. Raises `ValueError` if it names a vendor that
    there is not."""
    vendor = value.get("vendor", "nxcloud") if isinstance(value, dict) else "nxcloud"
    if vendor not in ("nxcloud", "ozonetel"):
        raise ValueError("vendor: must be nxcloud or ozonetel")
    return bool(vendor == "ozonetel")


def read_rotation(value: Any) -> Rotation | OzonetelRotation:
    """Raises `ValueError` that names the place and the reason, and no secret."""
    model = OzonetelRotation if is_about_ozonetel(value) else Rotation
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        reasons = (f"{'.'.join(str(part) for part in one['loc']) or 'body'}: {one['msg']}" for one in details)
        raise ValueError("; ".join(reasons)) from None


class Credentials:
    """`secrets` has what is accepted of each access key; a customer goes by the first key that it had."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self.secrets: dict[str, tuple[str, ...]] = {key: (secret,) for key, secret in pairs.items()}
        self._customers = {key: key for key in pairs}

    @property
    def customers(self) -> list[str]:
        return list(dict.fromkeys(self._customers.values()))

    def find_customer(self, access_key: str) -> str | None:
        """Whose key it is, or was."""
        return self._customers.get(access_key)

    def rotate(self, access_key: str, secret: str, new_key: str | None = None, *, overlap: bool) -> None:
        """Raises `KeyError` for a key that nobody has or had, `ValueError` for another's as the new."""
        customer, key = self._customers[access_key], new_key or access_key
        if self._customers.setdefault(key, customer) != customer:
            raise ValueError(f"the new key or user name {key} is another customer's")
        before = self.secrets.get(key, ()) if overlap else ()
        if not overlap:
            for other in [one for one in self.secrets if self._customers[one] == customer]:
                del self.secrets[other]
        self.secrets[key] = (secret, *(one for one in before if one != secret))

    def resolve_key(self, key: str | None, name: str) -> str:
        """The key that is named; none has to be when there is one customer. Raises `ValueError`, in which the
        field is called `name`."""
        if key is None and len(self.customers) > 1:
            raise ValueError(f"{name}: name one of {', '.join(self.customers)}")
        if key is not None:
            self.require_customer(key, name)
        return key or self.customers[0]

    def require_customer(self, key: str, name: str) -> str:
        """Whose key it is, or was. Raises `ValueError` as `resolve_key` does."""
        customer = self.find_customer(key)
        if customer is None:
            raise ValueError(f"{name}: must be one of {', '.join(self.customers)}")
        return customer

    def as_json(self, key: str, secrets: str) -> list[dict[str, Any]]:
        """What is accepted, the two fields called so; no secret is shown."""
        return [
            {key: one, "customer": self._customers[one], secrets: len(accepted)}
            for one, accepted in self.secrets.items()
        ]
