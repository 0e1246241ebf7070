"""Ozonetel's protocol for block-number groups: paths, bodies, messages, and the format of answers. Pure.

Sources: the vendor's pages "Create Block Number Group", "Update Block Number Group" and "Delete Block
Number(s) from a Group", each in its legacy, basic and token version, and "Generate Token". They do not
document the answers to too many numbers, a duplicate name, a wrong expiry date, and a wrong method or path;
these are choices [I].
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final, Literal

import orjson

Mode = Literal["legacy", "basic", "token"]
Operation = Literal["createBlockNumber", "updateBlockNumbers", "deleteBlockNumber", "generateToken"]

LEGACY_PATH: Final = "/CAServicesV3/blockNumberGroupV2.php"
API_PATH: Final = "/ca_apis/"
MAX_NUMBERS: Final = 100

# The time zone of India, where the vendor is. Its pages name no zone [I].
ZONE = timezone(timedelta(hours=5, minutes=30))

_LEGACY: Mapping[str, Operation] = {
    "POST": "createBlockNumber",
    "PUT": "updateBlockNumbers",
    "DELETE": "deleteBlockNumber",
}
_CURRENT: Mapping[str, tuple[str, Operation]] = {
    "createBlockNumber": ("POST", "createBlockNumber"),
    "updateBlockNumbers": ("PUT", "updateBlockNumbers"),
    # The pages have both names, as for the delete.
    "updateBlockNumber": ("PUT", "updateBlockNumbers"),
    "deleteBlockNumber": ("DELETE", "deleteBlockNumber"),
    "deleteBlockNumberGroup": ("DELETE", "deleteBlockNumber"),
    "CAToken/generateToken": ("POST", "generateToken"),
}
_NUMBER = re.compile(r"\+?[0-9]{4,15}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
_LENGTHS = range(2, 51)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error with the vendor's message. Most are sent with HTTP 200."""

    message: str
    errors: Mapping[str, str] | None = None
    http: int = 200
    status: str = "error"


AUTHENTICATION_FAILED = Refusal("Authentication failed", http=401)
MANDATORY = Refusal("Parameters are mandatory")
INVALID_GROUP = Refusal("Invalid group id")
INVALID_NUMBERS = Refusal(
    "invalid data", {"blockNumbers": "Blocknumbers data contains invalid format of numbers"}
)
TOO_MANY_NUMBERS = Refusal(
    "invalid data", {"blockNumbers": f"Blocknumbers allows {MAX_NUMBERS} numbers only"}
)
INVALID_DATE = Refusal("invalid data", {"expiryDate": "Expiry date must be YYYY-MM-DD HH:MM:SS"})
MAX_LIMIT = "Max limit exceeded"
# A request for a token gets these two instead (pages of other ca_apis endpoints).
MISSING_USER = Refusal("Missing userName or apiKey", status="false")
WRONG_USER = Refusal("userName or apiKey is Invalid", http=401, status="false")


@dataclass(frozen=True, slots=True)
class Create:
    name: str
    description: str
    numbers: Sequence[str]
    expires_ms: int | None


@dataclass(frozen=True, slots=True)
class Add:
    """An update: it adds numbers, changes the group's name or description, or both."""

    group: int | str
    numbers: Sequence[str]
    expires_ms: int | None
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    group: int | str
    numbers: Sequence[str]


@dataclass(frozen=True, slots=True)
class MakeToken:
    pass


Request = Create | Add | Delete | MakeToken


def find_operation(method: str, path: str) -> Operation | Refusal:
    """Returns the operation of a request, or a refusal with HTTP 404 or 405."""
    if path == LEGACY_PATH:
        return _LEGACY.get(method) or Refusal("Method not allowed", http=405)
    expected_method, operation = _CURRENT.get(path.removeprefix(API_PATH), (None, None))
    if operation is None:
        return Refusal("Not found", http=404)
    return operation if method == expected_method else Refusal("Method not allowed", http=405)


def read_request(operation: Operation, mode: Mode, body: Mapping[str, Any]) -> Request | Refusal:
    """Reads a request from the body, or returns a refusal if it is invalid."""
    match operation:
        case "generateToken":
            return MakeToken()
        case "createBlockNumber":
            return _read_create(body)
        case "updateBlockNumbers":
            group = _read_group(body, mode, ("Id",), ("groupName",))
        case "deleteBlockNumber":
            # The current pages document an error for an unknown group, but no field that names the group.
            group = _read_group(body, mode, ("id",), ("groupName", "name", "id"))
    numbers = _read_numbers(body)
    texts = _read_texts(body, mode) if operation == "updateBlockNumbers" else {}
    if isinstance(texts, Refusal):
        return texts
    if numbers is None and texts:
        # No page documents that an update may be without numbers [I].
        numbers = []
    if group is None or numbers is None:
        return MANDATORY
    if operation == "deleteBlockNumber":
        return TOO_MANY_NUMBERS if len(numbers) > MAX_NUMBERS else Delete(group, numbers)
    refusal, expires_ms = _check_numbers(numbers), _read_expiry_ms(body)
    if refusal is not None:
        return refusal
    return INVALID_DATE if isinstance(expires_ms, Refusal) else Add(group, numbers, expires_ms, **texts)


def _read_create(body: Mapping[str, Any]) -> Request | Refusal:
    name, description = body.get("name"), body.get("description")
    numbers = _read_numbers(body)
    if not isinstance(name, str) or not isinstance(description, str) or numbers is None:
        return MANDATORY
    for text in (name, description):
        if len(text) not in _LENGTHS:
            return _refuse_length(text)
    refusal, expires_ms = _check_numbers(numbers), _read_expiry_ms(body)
    if refusal is not None:
        return refusal
    return expires_ms if isinstance(expires_ms, Refusal) else Create(name, description, numbers, expires_ms)


def _read_texts(body: Mapping[str, Any], mode: Mode) -> dict[str, str] | Refusal:
    """Returns the group's new name and description, if the body has them.

    On the current paths `groupName` identifies the group, and an update has no field for a new name.
    """
    names = ("name", "description") if mode == "legacy" else ("description",)
    texts: dict[str, str] = {name: body[name] for name in names if isinstance(body.get(name), str)}
    return next((_refuse_length(text) for text in texts.values() if len(text) not in _LENGTHS), texts)


def _refuse_length(text: str) -> Refusal:
    # The page has the error under `name` for a description as well.
    return Refusal("invalid data", {"name": f"Name ({text}) allows 2 to 50 characters only"})


def _read_group(
    body: Mapping[str, Any], mode: Mode, legacy_fields: Sequence[str], current_fields: Sequence[str]
) -> int | str | None:
    """Returns the group's id (legacy API) or name (current APIs), or None if the body has none."""
    value = next(
        (body[key] for key in (legacy_fields if mode == "legacy" else current_fields) if body.get(key)), None
    )
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    if mode == "legacy" and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:20])
    return value


def _read_numbers(body: Mapping[str, Any]) -> list[str] | None:
    """Returns the numbers as texts, valid or not, or None if the body has none.

    Two of the pages also have the field in the singular.
    """
    value: object = body.get("blockNumbers", body.get("blockNumber"))
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list) or not value:
        return None
    return [item if isinstance(item, str) else str(item) for item in value]


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _check_numbers(numbers: Sequence[str]) -> Refusal | None:
    # Several numbers in one text are accepted here: the page's example of a create has such a text in
    # `output.error`.
    if not all(is_number(number) or "," in number for number in numbers):
        return INVALID_NUMBERS
    return TOO_MANY_NUMBERS if len(numbers) > MAX_NUMBERS else None


def _read_expiry_ms(body: Mapping[str, Any]) -> int | Refusal | None:
    text = body.get("expiryDate")
    if text in (None, ""):
        return None
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        return INVALID_DATE
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE)
        return int(at.timestamp() * 1000)
    except (ValueError, OverflowError):
        return INVALID_DATE


def encode_refusal(operation: str, refusal: Refusal) -> bytes:
    """Returns an error as JSON. That of `generateToken` has a field `data` as well."""
    content: dict[str, Any] = {"status": refusal.status, "message": refusal.message}
    if refusal.errors:
        content["errors"] = dict(refusal.errors)
    if operation == "generateToken":
        content |= {"status": "false" if refusal.status == "error" else refusal.status, "data": None}
    return orjson.dumps(content)


def encode_success(message: str, echoed: Mapping[str, Any], output: Mapping[str, Any]) -> bytes:
    """Returns a success as JSON."""
    return orjson.dumps({"status": "success", "message": message, "input": echoed, "output": output})


def encode_token(text: str) -> bytes:
    """Returns the answer with a token (page "Generate Token")."""
    return orjson.dumps({"token": text, "message": ""})
