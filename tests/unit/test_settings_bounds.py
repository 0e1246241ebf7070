"""Every number among the settings has bounds within which everything works."""

import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic.fields import FieldInfo
from test_settings import ACCOUNT, line_of

from numbergroup.settings import VENDORS, Settings, load_settings

PREFIX = "NUMBERGROUP_"
OF_ACCOUNTS = f"{PREFIX}ACCOUNTS__DEFAULT__"
NEEDED = {
    "nxcloud": ACCOUNT,
    "ozonetel": {f"{OF_ACCOUNTS}{key}": key for key in ("USERNAME", "API_KEY")}
    | {f"{OF_ACCOUNTS}PROVIDER": "ozonetel"},
}


def is_number(field: FieldInfo) -> bool:
    annotation: Any = field.annotation
    choices = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return int in choices or float in choices


def numeric() -> Iterator[tuple[str, str, FieldInfo]]:
    """The vendor whose account it is a setting of, its variable, and the setting."""
    for key, field in Settings.model_fields.items():
        if is_number(field):
            yield "nxcloud", f"{PREFIX}{key.upper()}", field
    for vendor, account in VENDORS.items():
        for key, field in account.model_fields.items():
            if is_number(field):
                yield vendor, f"{OF_ACCOUNTS}{key.upper()}", field


NUMBERS = list(numeric())


def bound(field: FieldInfo, name: str) -> float:
    (found,) = {getattr(one, name) for one in field.metadata if hasattr(one, name)}
    assert isinstance(found, int | float)
    return found


def test_the_numbers_are_found() -> None:
    names = {variable for _, variable, _ in NUMBERS}
    assert {f"{PREFIX}METRICS_PORT", f"{PREFIX}LEASE_TTL_S", f"{OF_ACCOUNTS}CALLS_PER_SECOND"} <= names


@pytest.mark.parametrize(("vendor", "name", "field"), NUMBERS)
@pytest.mark.parametrize("beyond", [1e-300, -1, 1e16, 1e300, "inf", "-inf", "nan"])
def test_what_is_out_of_bounds(vendor: str, name: str, field: FieldInfo, beyond: float | str) -> None:
    """The setting is named."""
    assert line_of(NEEDED[vendor] | {name: str(beyond)}).startswith(name)


@pytest.mark.parametrize(("vendor", "name", "field"), NUMBERS)
def test_the_bounds_themselves(vendor: str, name: str, field: FieldInfo) -> None:
    """Both are accepted, where no other setting forbids them."""
    more = NEEDED[vendor] | {f"{PREFIX}LEASE_TTL_S": "3600"}
    if name == f"{OF_ACCOUNTS}TIMEOUT_S":
        more[name] = str(bound(field, "ge"))
        load_settings(more)
        return
    for value in bound(field, "ge"), bound(field, "le"):
        if name == f"{PREFIX}LEASE_TTL_S":
            more |= {f"{OF_ACCOUNTS}TIMEOUT_S": "1"}
        load_settings(more | {name: str(value)})
