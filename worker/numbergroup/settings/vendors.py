"""Which vendors there are, and which of them an account is one of."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import SerializeAsAny, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails, InitErrorDetails

from numbergroup.settings.account import AccountSettings
from numbergroup.settings.nxcloud import NXCloudAccount
from numbergroup.settings.ozonetel import OzonetelAccount

VENDORS: dict[str, type[AccountSettings]] = {"nxcloud": NXCloudAccount, "ozonetel": OzonetelAccount}
"""By what PROVIDER names. A vendor is added here, and nowhere else."""

DEFAULT = "nxcloud"


def account_keys() -> list[str]:
    """Every key that an account of some vendor may have."""
    return list(dict.fromkeys(key for vendor in VENDORS.values() for key in vendor.model_fields))


def credential_keys() -> list[str]:
    """Every key that holds a credential, and may be in a file of its own."""
    return [key for vendor in VENDORS.values() for key in (vendor.name_key, vendor.secret_key)]


def _of_its_vendor(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, AccountSettings) or not isinstance(value, dict):
        return value if isinstance(value, AccountSettings) else handler(value)
    named = value.get("provider", DEFAULT)
    name = named.strip().lower() if isinstance(named, str) else ""
    vendor = VENDORS.get(name)
    if vendor is None and name:
        expected = " or ".join(repr(one) for one in VENDORS)
        raise _error(
            {"type": "literal_error", "loc": ("provider",), "input": named, "ctx": {"expected": expected}}
        )
    foreign = _foreign(value, name) if vendor else {}
    own = {key: given for key, given in value.items() if key not in foreign}
    # What is no name at all is for the model to refuse.
    try:
        account = (vendor or VENDORS[DEFAULT]).model_validate(own)
    except ValidationError as error:
        raise _error(*foreign.values(), *map(_details, error.errors(include_url=False))) from None
    if foreign:
        raise _error(*foreign.values())
    return account


def _foreign(keys: Iterable[str], name: str) -> dict[str, InitErrorDetails]:
    """Those of the keys that only accounts of other vendors have, and what is wrong with them."""
    found: dict[str, InitErrorDetails] = {}
    for key in keys:
        others = [one for one, other in VENDORS.items() if key in other.model_fields]
        if others and name not in others:
            problem = ValueError(
                f"is a setting of {' and '.join(others)}, but this account's PROVIDER is {name}: "
                "unset it, or set PROVIDER"
            )
            found[key] = {"type": "value_error", "loc": (key,), "input": None, "ctx": {"error": problem}}
    return found


def _details(error: ErrorDetails) -> InitErrorDetails:
    return InitErrorDetails(
        type=error["type"], loc=error["loc"], input=error["input"], ctx=error.get("ctx", {})
    )


def _error(*details: InitErrorDetails) -> ValidationError:
    return ValidationError.from_exception_data("account", [*details], hide_input=True)


Account = Annotated[SerializeAsAny[AccountSettings], WrapValidator(_of_its_vendor)]
"""The settings of an account, of whichever vendor."""
