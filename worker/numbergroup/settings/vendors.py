"""The registry of vendors, and the selection of an account's vendor."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import SerializeAsAny, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails, InitErrorDetails

from numbergroup.settings.account import AccountSettings
from numbergroup.settings.nxcloud import NXCloudAccount
from numbergroup.settings.ozonetel import OzonetelAccount

VENDORS: dict[str, type[AccountSettings]] = {"nxcloud": NXCloudAccount, "ozonetel": OzonetelAccount}
"""The settings of each vendor, by the value of PROVIDER. A new vendor is added only here."""

DEFAULT = "nxcloud"


def account_keys() -> list[str]:
    """Returns every key that an account of any vendor may have."""
    return list(dict.fromkeys(key for vendor in VENDORS.values() for key in vendor.model_fields))


def credential_keys() -> list[str]:
    """Returns every key of a credential, which may be in a file of its own."""
    return [key for vendor in VENDORS.values() for key in (vendor.name_key, vendor.secret_key)]


def _validate_account(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, AccountSettings) or not isinstance(value, dict):
        return value if isinstance(value, AccountSettings) else handler(value)
    provider = value.get("provider", DEFAULT)
    name = provider.strip().lower() if isinstance(provider, str) else ""
    vendor = VENDORS.get(name)
    if vendor is None and name:
        expected = " or ".join(map(repr, VENDORS))
        raise _create_error(
            {"type": "literal_error", "loc": ("provider",), "input": provider, "ctx": {"expected": expected}}
        )
    foreign = _find_foreign_keys(value, name) if vendor else {}
    own = {key: setting for key, setting in value.items() if key not in foreign}
    # The model refuses a value that is no name.
    try:
        account = (vendor or VENDORS[DEFAULT]).model_validate(own)
    except ValidationError as error:
        raise _create_error(*foreign.values(), *map(_copy_details, error.errors(include_url=False))) from None
    if foreign:
        raise _create_error(*foreign.values())
    return account


def _find_foreign_keys(keys: Iterable[str], name: str) -> dict[str, InitErrorDetails]:
    """Returns errors for the keys that only accounts of other vendors have."""
    errors: dict[str, InitErrorDetails] = {}
    for key in keys:
        others = [other for other, settings in VENDORS.items() if key in settings.model_fields]
        if others and name not in others:
            problem = ValueError(
                f"is a setting of {' and '.join(others)}, but this account's PROVIDER is {name}: "
                "unset it, or set PROVIDER"
            )
            errors[key] = {"type": "value_error", "loc": (key,), "input": None, "ctx": {"error": problem}}
    return errors


def _copy_details(error: ErrorDetails) -> InitErrorDetails:
    return InitErrorDetails(
        type=error["type"], loc=error["loc"], input=error["input"], ctx=error.get("ctx", {})
    )


def _create_error(*details: InitErrorDetails) -> ValidationError:
    return ValidationError.from_exception_data("account", [*details], hide_input=True)


Account = Annotated[SerializeAsAny[AccountSettings], WrapValidator(_validate_account)]
"""The settings of an account of any vendor."""
