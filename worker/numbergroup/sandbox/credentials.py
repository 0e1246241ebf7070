"""Accepted pairs of access key and secret (Ozonetel: user name and API key), and their rotation. Pure.

A rotation gives a customer another pair. With `overlap`, the previous pairs stay accepted until the next
rotation without it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

_HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]


class Rotation(BaseModel):
    """A request for another secret for `accessKey`, and optionally another access key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    vendor: Literal["nxcloud"] = "nxcloud"
    secret: _HeaderValue
    access_key: _HeaderValue | None = Field(default=None, alias="accessKey")
    new_access_key: _HeaderValue | None = Field(default=None, alias="newAccessKey")
    overlap: bool = False


class OzonetelRotation(BaseModel):
    """A request for another API key for `userName`, and optionally another user name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    vendor: Literal["ozonetel"]
    api_key: _HeaderValue = Field(alias="apiKey")
    user_name: _HeaderValue | None = Field(default=None, alias="userName")
    new_user_name: _HeaderValue | None = Field(default=None, alias="newUserName")
    overlap: bool = False


def is_about_ozonetel(value: Any) -> bool:
    """Whether a control request names Ozonetel as its vendor. Raises `ValueError` for an unknown vendor."""
    vendor = value.get("vendor", "nxcloud") if isinstance(value, dict) else "nxcloud"
    if vendor not in ("nxcloud", "ozonetel"):
        raise ValueError("vendor: must be nxcloud or ozonetel")
    return bool(vendor == "ozonetel")


def read_rotation(value: Any) -> Rotation | OzonetelRotation:
    """Reads a rotation. Raises `ValueError`, which names the field and the reason but no secret."""
    model = OzonetelRotation if is_about_ozonetel(value) else Rotation
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        reasons = (
            f"{'.'.join(str(part) for part in detail['loc']) or 'body'}: {detail['msg']}"
            for detail in details
        )
        raise ValueError("; ".join(reasons)) from None


class Credentials:
    """The credentials of all customers.

    `secrets` maps an access key to its accepted secrets. A customer is identified by its first access key.
    """

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self.secrets: dict[str, tuple[str, ...]] = {key: (secret,) for key, secret in pairs.items()}
        self._customers = {key: key for key in pairs}

    @property
    def customers(self) -> list[str]:
        return list(dict.fromkeys(self._customers.values()))

    def find_customer(self, access_key: str) -> str | None:
        """Returns the customer who has or had this access key."""
        return self._customers.get(access_key)

    def rotate(self, access_key: str, secret: str, new_key: str | None = None, *, overlap: bool) -> None:
        """Gives the customer of `access_key` another secret, and `new_key` if it is set.

        Raises `KeyError` if no customer has or had `access_key`, and `ValueError` if `new_key` is another
        customer's.
        """
        customer, key = self._customers[access_key], new_key or access_key
        if self._customers.setdefault(key, customer) != customer:
            raise ValueError(f"the new key or user name {key} is another customer's")
        before = self.secrets.get(key, ()) if overlap else ()
        if not overlap:
            for other in [known for known in self.secrets if self._customers[known] == customer]:
                del self.secrets[other]
        self.secrets[key] = (secret, *(previous for previous in before if previous != secret))

    def resolve_key(self, key: str | None, name: str) -> str:
        """Returns `key`, or the only customer's if it is None.

        Raises `ValueError`, which calls the field `name`, if the key is unknown, or missing with several
        customers.
        """
        if key is None and len(self.customers) > 1:
            raise ValueError(f"{name}: name one of {', '.join(self.customers)}")
        if key is not None:
            self.require_customer(key, name)
        return key or self.customers[0]

    def require_customer(self, key: str, name: str) -> str:
        """Returns the customer who has or had the key. Raises `ValueError`, which calls the field `name`."""
        customer = self.find_customer(key)
        if customer is None:
            raise ValueError(f"{name}: must be one of {', '.join(self.customers)}")
        return customer

    def as_json(self, key: str, secrets: str) -> list[dict[str, Any]]:
        """Returns the access keys, and how many secrets each has. `key` and `secrets` name the fields."""
        return [
            {key: access_key, "customer": self._customers[access_key], secrets: len(accepted)}
            for access_key, accepted in self.secrets.items()
        ]
