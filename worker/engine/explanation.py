"""Why an event is no command, in words that its sender can act on."""

import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_SHOWN = 3
_READ = 1_000
_FIELD_NAME = re.compile("[A-Za-z_]{1,32}")


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
    place = ".".join(part for part in map(_part, error["loc"]) if part)
    return f"{place or 'event'}: {error['msg'].removeprefix('Value error, ')}"


def _part(part: int | str) -> str:
    """A step of the way to a bad value; not the names that pydantic gives to the types on the way."""
    if isinstance(part, int):
        return str(part)
    if part.startswith(("numbergroup.", "list[", "constrained-", "literal[", "function-")):
        return ""
    return part if _FIELD_NAME.fullmatch(part) else "(a field of another name)"
