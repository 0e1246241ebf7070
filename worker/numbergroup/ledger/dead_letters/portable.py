"""Letters as lines of a file (NDJSON), lossless: what is read back is what was written, byte by byte.

    {"id": …, "partition": 0, "ledger": …, "letter": {…}, "body": "…", "order": "…", "shape": {…}}

What is no UTF-8 is `{"base64": "…"}`. A line with `"masked": true` is for reading only.
"""

from base64 import b64decode, b64encode
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from numbergroup.ledger.dead_letters.changing import Arrival
from numbergroup.ledger.dead_letters.letter import Letter

_AS_TEXT = ("body", "original", "order", "watched")


class NotALetter(ValueError):
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


def as_line(letter: Letter, ledger: str, shape: bytes | None) -> bytes:
    """The letter as a line, without its end. `ledger`: the id of the one that it comes from."""
    line: dict[str, Any] = {"id": letter.id, "partition": letter.partition, "ledger": ledger}
    line["letter"] = _described(letter.description)
    for name in _AS_TEXT:
        value = letter.fields.get(name.encode())
        if value is not None:
            line[name] = _text(value)
    if shape is not None and (told := _object(shape)) is not None:
        line["shape"] = told
    return orjson.dumps(line)


def from_line(line: bytes, ledger: str) -> Arrival:
    """The letter of a line, for the ledger of this id. Raises `NotALetter`."""
    try:
        read = _Line.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"][:1]))
        raise NotALetter(f"{place or 'line'}: {first['msg']}") from None
    if read.masked:
        raise NotALetter("its phone numbers are masked: export with --reveal what is to be imported")
    described = read.letter
    description = _bytes(described) if isinstance(described, _Bytes) else _dumped("letter", described)
    fields = {b"id": read.id.encode(), b"letter": description}
    for name in _AS_TEXT:
        value = getattr(read, name)
        if value is not None:
            fields[name.encode()] = _bytes(value)
    here = read.ledger == ledger
    if not here:
        fields.pop(b"watched", None)
    shape = None if read.shape is None else _dumped("shape", read.shape)
    return Arrival(Letter(read.partition, "0-0", fields), shape, here)


def _dumped(name: str, told: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(told)
    except TypeError:
        raise NotALetter(f"{name}: it has a number of more than 64 bits, or is nested too deeply") from None


def _described(description: bytes) -> Any:
    """As an object, if that is read back as the same bytes."""
    told = _object(description)
    if told is not None and orjson.dumps(told) == description and told.keys() != {"base64"}:
        return told
    return {"base64": b64encode(description).decode()}


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        told = orjson.loads(data)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


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
        raise NotALetter("it has base64 that is none") from None
