"""What values are made of, whatever setting they are for."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

_LEAST_HOURS = 0.01


def sane(value: Any) -> Any:
    """White space around a text is dropped; a boolean is refused, for pydantic would take it for 1 or 0."""
    if isinstance(value, bool):
        raise ValueError("is true or false: give it a number or a text")
    value = value.strip() if isinstance(value, str) else value
    if value == "":
        raise ValueError("is empty: give it a value or unset it")
    return value


def _items(value: Any) -> Any:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list):
        return items
    return [str(item).strip() if type(item) in (int, str) else item for item in items]


def _codes(values: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(one.lower() if one.lower().startswith("http-") else one for one in values)
    for one in found:
        if one.startswith("http-") and not re.fullmatch("http-[1-5][0-9][0-9]", one):
            raise ValueError(f"has {one!r:.40}, which is no HTTP status: write it like http-503")
    return found


def _not_between(value: float) -> float:
    if 0 < value < _LEAST_HOURS:
        raise ValueError(f"is {value:g}: it must be 0, or {_LEAST_HOURS:g} or more")
    return value


HoursOrNever = Annotated[float, Field(ge=0), AfterValidator(_not_between)]
Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], NoDecode, BeforeValidator(_items)]
Codes = Annotated[Texts, AfterValidator(_codes)]
Seconds = Annotated[float, Field(ge=0.001, le=86_400)]
Share = Annotated[float, Field(ge=0.001, le=1)]
Host = Annotated[str, Field(pattern=r"^[^\s/@]+$")]
Choice = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
