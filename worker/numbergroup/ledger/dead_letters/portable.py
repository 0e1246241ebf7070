"""Exports letters as lines of a file (NDJSON) and imports them again, without any loss of bytes.

    {"id": …, "partition": 0, "ledger": …, "letter": {…}, "body": "…", "order": "…", "shape": {…}}

Bytes that are not UTF-8 are written as `{"base64": "…"}`. A line with `"masked": true` cannot be imported.
"""

from base64 import b64decode, b64encode
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from numbergroup.errors import NumbergroupError
from numbergroup.ledger.dead_letters.changing import ImportedLetter
from numbergroup.ledger.dead_letters.letter import Letter

_AS_TEXT = ("body", "original", "order", "watched")


class InvalidLine(NumbergroupError, ValueError):
    """The line cannot be imported; the message says why, without quoting it."""


class _Bytes(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    base64: str


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: Annotated[str, Field(min_length=1)]
    partition: Annotated[int, Field(ge=0, le=65_535)]
    ledger: str = ""
    letter: Annotated[_Bytes | dict[str, Any], Field(union_mode="left_to_right")]
    body: str | _Bytes | None = None
    original: str | _Bytes | None = None
    order: str | _Bytes | None = None
    watched: str | _Bytes | None = None
    shape: dict[str, Any] | None = None
    masked: bool = False


def encode_line(letter: Letter, ledger: str, shape: bytes | None) -> bytes:
    """Return the letter as a line, without a line end. `ledger` is the id of the exporting ledger."""
    line: dict[str, Any] = {"id": letter.id, "partition": letter.partition, "ledger": ledger}
    line["letter"] = _described(letter.description)
    for name in _AS_TEXT:
        value = letter.fields.get(name.encode())
        if value is not None:
            line[name] = _text(value)
    if shape is not None and (members := _object(shape)) is not None:
        line["shape"] = members
    return orjson.dumps(line)


def decode_line(line: bytes, ledger: str) -> ImportedLetter:
    """Return the letter of a line, for import into the ledger with this id. Raises `InvalidLine`."""
    try:
        parsed = _Line.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        member = ".".join(map(str, first["loc"][:1]))
        raise InvalidLine(f"{member or 'line'}: {first['msg']}") from None
    if parsed.masked:
        raise InvalidLine("its phone numbers are masked: export with --reveal what is to be imported")
    described = parsed.letter
    description = _bytes(described) if isinstance(described, _Bytes) else _dumped("letter", described)
    fields = {b"id": parsed.id.encode(), b"letter": description}
    for name in _AS_TEXT:
        value = getattr(parsed, name)
        if value is not None:
            fields[name.encode()] = _bytes(value)
    is_from_this_ledger = parsed.ledger == ledger
    if not is_from_this_ledger:
        fields.pop(b"watched", None)
    shape = None if parsed.shape is None else _dumped("shape", parsed.shape)
    return ImportedLetter(Letter(parsed.partition, "0-0", fields), shape, is_from_this_ledger)


def _dumped(name: str, members: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(members)
    except TypeError:
        raise InvalidLine(f"{name}: it has a number of more than 64 bits, or is nested too deeply") from None


def _described(description: bytes) -> Any:
    """Return the description as an object if that encodes to the same bytes; otherwise as base64."""
    members = _object(description)
    if members is not None and orjson.dumps(members) == description and members.keys() != {"base64"}:
        return members
    return {"base64": b64encode(description).decode()}


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        members = orjson.loads(data)
    except ValueError:
        return None
    return members if isinstance(members, dict) else None


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}


def _bytes(value: str | _Bytes) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return b64decode(value.base64, validate=True)
    except ValueError:
        raise InvalidLine("it has base64 that is none") from None
