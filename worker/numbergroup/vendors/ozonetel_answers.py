"""Reads Ozonetel's answers. Pure; nothing raises but `BadAnswer`, whatever the vendor sends.

The vendor has no codes and no request ids, only messages. Each message that its pages show has a code of our
own, so that an account's failure classes go by codes and by texts, as with any vendor.
"""

import re
from base64 import b64encode
from typing import Any

from numbergroup.engine.calls import Call
from numbergroup.vendors.answers import BadAnswer, json_object, mask_message, parse_identifier
from numbergroup.vendors.command_words import mask_command_words
from numbergroup.vendors.port import Answer, Credentials

CODES = {
    "authentication failed": "authentication-failed",
    "username or apikey": "authentication-failed",  # is missing, is invalid: of sibling endpoints [V]
    "parameters are mandatory": "parameters-mandatory",
    "invalid group id": "invalid-group-id",
    "invalid data": "invalid-data",
    "max limit exceeded": "max-limit-exceeded",  # of sibling endpoints [V]
    # No page shows the message for an expired token [I].
    "invalid token": "invalid-token",
    "token expired": "invalid-token",
    "token has expired": "invalid-token",
    "token is expired": "invalid-token",
    "token is invalid": "invalid-token",
    "expired token": "invalid-token",
    "jwt expired": "invalid-token",
    "unauthorized": "authentication-failed",
}
"""Parts of the messages, in lower case, and our codes for them."""

_SUCCESSES = frozenset({"success", "succes", "successful", "ok", "true", "1"})
_FAILURES = frozenset({"error", "fail", "failed", "failure", "false"})
_MAX_ID = 128
_DIGITS = re.compile("[0-9]{7,}")


def parse_status(content: dict[str, Any]) -> bool | None:
    """Return whether the body states a success; `None`: it does not say.

    The pages show `error`, `fail` and `false` for a failure, the last one as a text and as a boolean [V].
    That a success has variants as well is inferred [I].
    """
    status = content.get("status")
    if not isinstance(status, bool | int | str):
        return None
    text = str(status).strip().lower()
    return True if text in _SUCCESSES else False if text in _FAILURES else None


def read_failure_text(content: dict[str, Any]) -> str:
    """Return the vendor's text of a failure, unmasked: its message and its list of errors."""
    errors = content.get("errors")
    more = errors.values() if isinstance(errors, dict) else errors if isinstance(errors, list) else [errors]
    return ": ".join(text for text in (_read_message(content), *more) if isinstance(text, str) and text)


def find_code(content: dict[str, Any], call: Call) -> str | None:
    """Return our code for a documented message, or `None` for any other.

    A group's name may be such a message, or contain a word of it. So the unchanged message is compared first,
    then the text without the words of `call`.
    """
    code = CODES.get(_read_message(content).strip(" .!").lower())
    if code is not None:
        return code
    text = mask_command_words(read_failure_text(content), call).lower()
    return next((code for part, code in CODES.items() if part in text), None)


def _read_message(content: dict[str, Any]) -> str:
    message = next((content[name] for name in ("message", "msg", "error") if content.get(name)), "")
    return message if isinstance(message, str) else ""


def parse_group_id(content: dict[str, Any]) -> str:
    """Return the id of the created group, `output.lastInsertId`. Raises `BadAnswer` without one."""
    output = content.get("output")
    group_id = parse_identifier(output.get("lastInsertId"), _MAX_ID) if isinstance(output, dict) else None
    if group_id is None or group_id == "0":
        raise BadAnswer("no lastInsertId")
    return group_id


def parse_body(answer: Answer) -> dict[str, Any] | None:
    """Return the body as a JSON object, or `None`."""
    return json_object(answer.body, answer.headers.get("content-type", ""), once="status")


def mask_text(text: str, credentials: Credentials) -> str:
    """Return the vendor's message for logs and results, without secrets and numbers."""
    for secret in (credentials.token, encode_basic(credentials)):
        if secret:
            text = text.replace(secret, "***")
    # The vendor has no request ids, so that many digits are phone numbers.
    return _DIGITS.sub("<number>", mask_message(text, credentials.secret))


def encode_basic(credentials: Credentials) -> str:
    """Return the credentials of HTTP Basic (RFC 7617), from which the key can be decoded."""
    return b64encode(f"{credentials.name}:{credentials.secret}".encode()).decode()
