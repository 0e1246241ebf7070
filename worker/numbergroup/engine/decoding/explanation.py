"""Why an event is no command, in words that its sender can act on."""

import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from numbergroup_contracts.commands import PHONE, PHONES_TEXT
from numbergroup_contracts.event import JSON_TYPE, PRINTABLE

_SHOWN = 3
_READ = 1_000
_FIELD_NAME = re.compile("[A-Za-z_]{1,32}")
_SAID_BETTER = {
    PRINTABLE: "must have printable characters only, and no spaces but plain ones",
    PHONE: "must be 7 to 15 digits with the country code, the first one not 0, without a +",
    PHONES_TEXT: "must be numbers of 7 to 15 digits, the first one not 0, joined by commas without spaces",
    JSON_TYPE: "must be application/json, or a type that ends in +json",
}
"""What the contract's patterns mean."""


def explain(error: ValidationError) -> str:
    """What is wrong and where, without the values: they may be phone numbers. So may unknown names."""
    count = error.error_count()
    if count > _READ:
        return f"event: {count} problems"
    problems = [_problem(one) for one in error.errors(include_url=False, include_input=False)]
    shown = "; ".join(problems[:_SHOWN])
    return f"{shown}; and {count - _SHOWN} more" if count > _SHOWN else shown


def _problem(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "json_invalid":
        return f"not JSON: {context['error']}"
    if kind == "union_tag_invalid":
        return f"type: none of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return "type: Field required"
    said = error["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        said = _SAID_BETTER.get(context["pattern"], said)
    place = ".".join(part for part in map(_part, error["loc"]) if part)
    return f"{place or 'event'}: {said}"


def _part(part: int | str) -> str:
    """A step of the way to a bad value; not the names that pydantic gives to the types on the way."""
    if isinstance(part, int):
        return str(part)
    if part.startswith(("numbergroup.", "list[", "constrained-", "literal[", "function-")):
        return ""
    return part if _FIELD_NAME.fullmatch(part) else "(a field of another name)"
