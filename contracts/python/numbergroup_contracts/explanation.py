"""Explains why an event is no valid command, for the people who send it."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from numbergroup_contracts.commands import PHONE, PHONES_TEXT
from numbergroup_contracts.event import JSON_TYPE, PRINTABLE

_MAX_SHOWN = 3
_MAX_READ = 1_000
_FIELD_NAME = re.compile("[A-Za-z_]{1,32}")
_PATTERNS = {
    PRINTABLE: "must have printable characters only, and no spaces but plain ones",
    PHONE: "must be 7 to 15 digits with the country code, the first one not 0, without a +",
    PHONES_TEXT: "must be numbers of 7 to 15 digits with the country code, the first one not 0, joined by "
    "commas without spaces",
    JSON_TYPE: "must be application/json, or a type that ends in +json",
}
"""The meaning of the contract's patterns."""
_FORMS = {
    "phones": "must be an array of strings, or one string of numbers joined by commas",
    "operateType": "must be 'add', 'delete' or 'replace', or 0, 1 or 2",
}
"""Members with several forms; pydantic reports the errors of each form."""
_TYPES = {
    "a valid array": "an array",
    "a valid integer": "an integer",
    "a valid string": "a string",
}


def explain(error: ValidationError) -> str:
    """Return what is wrong and where, without values and unknown names: they may be phone numbers."""
    count = error.error_count()
    if count > _MAX_READ:
        return f"event: {count} problems"
    problems = list(_problems(error.errors(include_url=False, include_input=False)))
    shown = "; ".join(problems[:_MAX_SHOWN])
    more = len(problems) - _MAX_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def _problems(errors: Sequence[ErrorDetails]) -> Iterator[str]:
    for (path, member), group in groupby(errors, _member):
        errors_of_member = list(group)
        if member is None or len(errors_of_member) == 1:
            yield from map(_problem, errors_of_member)
        elif in_form := [error for error in errors_of_member if _is_within_form(error)]:
            yield _problem(in_form[0])
        else:
            yield f"{_path(path)}: {_FORMS[member]}"


def _member(error: ErrorDetails) -> tuple[tuple[int | str, ...], str | None]:
    """Return the path and name of a member with several forms; the error's own path and `None` for others."""
    for depth, part in enumerate(error["loc"], start=1):
        if part in _FORMS:
            return error["loc"][:depth], str(part)
    return error["loc"], None


def _is_within_form(error: ErrorDetails) -> bool:
    """Whether the value has one of the forms, so that the error is in its content."""
    return error["type"] == "string_pattern_mismatch" or any(isinstance(part, int) for part in error["loc"])


def _problem(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "json_invalid":
        return f"not JSON: {context['error']}"
    if kind == "union_tag_invalid":
        return f"type: none of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return "type: is missing"
    return f"{_path(error['loc'])}: {_describe(error)}"


def _describe(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is unknown"
        case "string_pattern_mismatch" if (pattern := error["ctx"]["pattern"]) in _PATTERNS:
            return _PATTERNS[pattern]
    text = re.sub("^[A-Z][a-z]+ should ", "must ", error["msg"].removeprefix("Value error, "))
    for name, plain_name in _TYPES.items():
        text = text.replace(name, plain_name)
    return text


def _path(path: Sequence[int | str]) -> str:
    return ".".join(part for part in map(_path_part, path) if part) or "event"


def _path_part(part: int | str) -> str:
    """Return the part as text; empty for names that pydantic gives to types."""
    if isinstance(part, int):
        return str(part)
    if part.startswith(("numbergroup.", "list[", "constrained-", "literal[", "function-")):
        return ""
    return part if _FIELD_NAME.fullmatch(part) else "(a field of another name)"
