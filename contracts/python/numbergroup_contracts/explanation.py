"""Why an event is no command, in words that its sender can act on."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from numbergroup_contracts.commands import PHONE, PHONES_TEXT
from numbergroup_contracts.event import JSON_TYPE, PRINTABLE

_SHOWN = 3
_READ = 1_000
_FIELD_NAME = re.compile("[A-Za-z_]{1,32}")
_PATTERNS = {
    PRINTABLE: "must have printable characters only, and no spaces but plain ones",
    PHONE: "must be 7 to 15 digits with the country code, the first one not 0, without a +",
    PHONES_TEXT: "must be numbers of 7 to 15 digits with the country code, the first one not 0, joined by "
    "commas without spaces",
    JSON_TYPE: "must be application/json, or a type that ends in +json",
}
"""What the contract's patterns mean."""
_SEVERAL_FORMS = {
    "phones": "must be an array of strings, or one string of numbers joined by commas",
    "operateType": "must be 'add', 'delete' or 'replace', or 0, 1 or 2",
}
"""Members that may be written in several forms: pydantic tells what is wrong with each form."""
_TYPES = {
    "a valid array": "an array",
    "a valid integer": "an integer",
    "a valid string": "a string",
}


def explain(error: ValidationError) -> str:
    """What is wrong and where, without the values: they may be phone numbers. So may unknown names."""
    count = error.error_count()
    if count > _READ:
        return f"event: {count} problems"
    problems = list(_problems(error.errors(include_url=False, include_input=False)))
    shown = "; ".join(problems[:_SHOWN])
    more = len(problems) - _SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def _problems(errors: Sequence[ErrorDetails]) -> Iterator[str]:
    for (path, member), group in groupby(errors, _member):
        alike = list(group)
        if member is None or len(alike) == 1:
            yield from map(_problem, alike)
        elif close := [one for one in alike if _has_the_form(one)]:
            yield _problem(close[0])
        else:
            yield f"{_place(path)}: {_SEVERAL_FORMS[member]}"


def _member(error: ErrorDetails) -> tuple[tuple[int | str, ...], str | None]:
    """The place of a member that has several forms, and its name; of any other place no name."""
    for at, part in enumerate(error["loc"]):
        if part in _SEVERAL_FORMS:
            return error["loc"][: at + 1], str(part)
    return error["loc"], None


def _has_the_form(error: ErrorDetails) -> bool:
    """Whether the value has one of the forms, and something in it is wrong."""
    return error["type"] == "string_pattern_mismatch" or any(isinstance(part, int) for part in error["loc"])


def _problem(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "json_invalid":
        return f"not JSON: {context['error']}"
    if kind == "union_tag_invalid":
        return f"type: none of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return "type: is missing"
    return f"{_place(error['loc'])}: {_text(error)}"


def _text(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is unknown"
        case "string_pattern_mismatch" if (pattern := error["ctx"]["pattern"]) in _PATTERNS:
            return _PATTERNS[pattern]
    text = re.sub("^[A-Z][a-z]+ should ", "must ", error["msg"].removeprefix("Value error, "))
    for pydantics, ours in _TYPES.items():
        text = text.replace(pydantics, ours)
    return text


def _place(path: Sequence[int | str]) -> str:
    return ".".join(part for part in map(_part, path) if part) or "event"


def _part(part: int | str) -> str:
    """A step of the way to a bad value; not the names that pydantic gives to the types on the way."""
    if isinstance(part, int):
        return str(part)
    if part.startswith(("numbergroup.", "list[", "constrained-", "literal[", "function-")):
        return ""
    return part if _FIELD_NAME.fullmatch(part) else "(a field of another name)"
