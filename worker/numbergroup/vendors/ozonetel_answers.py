"""Ozonetel's answers. Pure, and nothing here raises but `BadAnswer`, whatever the vendor sends.

The vendor has no codes and no request ids: its messages are all there is. For each that its pages show there
is a code of our own, so that an account's classes go by codes and by texts, as with any vendor.
"""

from typing import Any

from numbergroup.engine.calls import Call
from numbergroup.vendors.answers import BadAnswer, identifier
from numbergroup.vendors.own_words import without_own_words

CODES = {
    "authentication failed": "authentication-failed",
    "username or apikey": "authentication-failed",  # is missing, is invalid: of sibling endpoints [V]
    "parameters are mandatory": "parameters-mandatory",
    "invalid group id": "invalid-group-id",
    "invalid data": "invalid-data",
    "max limit exceeded": "max-limit-exceeded",  # of sibling endpoints [V]
    # What is said of a token that is over, no page shows [I].
    "invalid token": "invalid-token",
    "token expired": "invalid-token",
    "token has expired": "invalid-token",
    "token is expired": "invalid-token",
    "token is invalid": "invalid-token",
    "expired token": "invalid-token",
    "jwt expired": "invalid-token",
    "unauthorized": "authentication-failed",
}
"""What the messages contain, in any case, and our codes for that."""

_SUCCESSES = frozenset({"success", "succes", "successful", "ok", "true", "1"})
_FAILURES = frozenset({"error", "fail", "failed", "failure", "false"})
_LONGEST_ID = 128


def verdict_of(content: dict[str, Any]) -> bool | None:
    """Whether the body says that it succeeded; `None`: it does not say. A failure's `status` has been seen as
    `error`, `fail` and `false`, the last one as a text and as a boolean [V]; that a success's may be spelt
    otherwise, too, is inferred [I]."""
    status = content.get("status")
    if not isinstance(status, bool | int | str):
        return None
    spelt = str(status).strip().lower()
    return True if spelt in _SUCCESSES else False if spelt in _FAILURES else None


def text_of(content: dict[str, Any]) -> str:
    """All that the vendor says of a failure, as it came: its message, and what it finds wrong."""
    errors = content.get("errors")
    more = errors.values() if isinstance(errors, dict) else errors if isinstance(errors, list) else [errors]
    return ": ".join(one for one in (_message_of(content), *more) if isinstance(one, str) and one)


def code_of(content: dict[str, Any], call: Call) -> str | None:
    """Our code for a documented message; `None` for any other, for in that there may be anything.

    A group may be called like such a message, or with a word of it: the message as it is goes first, then
    the text without the words of `call`.
    """
    code = CODES.get(_message_of(content).strip(" .!").lower())
    if code is not None:
        return code
    text = without_own_words(text_of(content), call).lower()
    return next((code for sought, code in CODES.items() if sought in text), None)


def _message_of(content: dict[str, Any]) -> str:
    message = next((content[name] for name in ("message", "msg", "error") if content.get(name)), "")
    return message if isinstance(message, str) else ""


def inserted_id(content: dict[str, Any]) -> str:
    """The id of the group that a create made, `output.lastInsertId`. Raises `BadAnswer` without one."""
    output = content.get("output")
    group_id = identifier(output.get("lastInsertId"), _LONGEST_ID) if isinstance(output, dict) else None
    if group_id is None or group_id == "0":
        raise BadAnswer("no lastInsertId")
    return group_id
