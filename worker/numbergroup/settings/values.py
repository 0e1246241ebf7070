"""Types and checks of values that several settings share."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

_MIN_HOURS = 0.01


def normalize_value(value: Any) -> Any:
    """Strips white space around a text. Raises ValueError for an empty text, and for a boolean.

    Without the check, pydantic would accept a boolean as 1 or 0.
    """
    if isinstance(value, bool):
        raise ValueError("is true or false: give it a number or a text")
    value = value.strip() if isinstance(value, str) else value
    if value == "":
        raise ValueError("is empty: give it a value or unset it")
    return value


def _split_items(value: Any) -> Any:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list):
        return items
    return [str(item).strip() if type(item) in (int, str) else item for item in items]


def _check_codes(values: tuple[str, ...]) -> tuple[str, ...]:
    codes = tuple(code.lower() if code.lower().startswith("http-") else code for code in values)
    for code in codes:
        if code.startswith("http-") and not re.fullmatch("http-[1-5][0-9][0-9]", code):
            raise ValueError(f"has {code!r:.40}, which is no HTTP status: write it like http-503")
    return codes


def _check_hours(value: float) -> float:
    if 0 < value < _MIN_HOURS:
        raise ValueError(f"is {value:g}: it must be 0, or {_MIN_HOURS:g} or more")
    return value


HoursOrNever = Annotated[float, Field(ge=0), AfterValidator(_check_hours)]
Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], NoDecode, BeforeValidator(_split_items)]
Codes = Annotated[Texts, AfterValidator(_check_codes)]
Seconds = Annotated[float, Field(ge=0.001, le=86_400)]
Share = Annotated[float, Field(ge=0.001, le=1)]
Host = Annotated[str, Field(pattern=r"^[^\s/@]+$")]
Choice = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
