"""Packs and unpacks the envelope of a message that kombu keeps on a Redis list.

The format is that of kombu 5.7, `transport/virtual/base.py`. Unpacking never raises: an invalid envelope, or
one whose body is not JSON in UTF-8, is returned with the reason why it is refused.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import orjson

ENVELOPE_OVERHEAD: Final = 65_536
"""The largest size, in bytes, of an envelope without its body."""

JSON_TYPES: Final = frozenset(
    {"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"}
)
_CHARSETS = frozenset({"utf-8", "us-ascii"})
_ENCODINGS = _CHARSETS | {None, "", "binary"}
_UNENCODED = frozenset({None, "", "utf-8"})
_ENCODING_OF_TYPE: Final[dict[str | None, str | None]] = {"bytes": None, "base64": "base64"}
_LONGEST_NAME = 255

# These texts go into results. They never quote the message, which may contain phone numbers.
_NO_ENVELOPE = "not the envelope that kombu puts on a list"
_NO_BODY = "the envelope has no body that is a text"
_BODY_ENCODING = "the envelope's body_encoding must be base64 or absent"
_NO_BASE64 = "the envelope's body is not base64, as it says it is"
_COMPRESSED = "the body is compressed: publish it without compression"
_NO_DELIVERY_INFO = "the envelope has no delivery_info with exchange and routing_key"
_TYPE = "the content type must be application/json, application/cloudevents+json or …-batch+json, in UTF-8"
_ENCODING = "the content encoding must be utf-8, us-ascii or binary"


@dataclass(slots=True, frozen=True)
class Unpacked:
    """An unpacked message. `body` is the producer's, or the whole envelope if it has no valid body.

    `problem` tells why the message is refused.
    """

    body: bytes
    reply_to: str | None = None
    correlation_id: str | None = None
    problem: str | None = None


def unpack(raw: bytes, max_body: int) -> Unpacked:
    """Unpack an envelope. `max_body` is the largest size of a body, in bytes.

    In an envelope a body is at most three times as large, because of JSON's escapes.
    """
    longest = 3 * max_body + ENVELOPE_OVERHEAD
    if len(raw) > longest:
        return Unpacked(raw, problem=f"the envelope has {len(raw)} bytes, the limit is {longest}")
    try:
        envelope = orjson.loads(raw)
    except ValueError:
        return Unpacked(raw, problem=_NO_ENVELOPE)
    if not isinstance(envelope, dict):
        return Unpacked(raw, problem=_NO_ENVELOPE)
    properties = _table(envelope, "properties")
    body, problem = _body(envelope, properties)
    if body is not None:
        problem = _problem(envelope, properties)
    return Unpacked(
        raw if body is None else body,
        _name(properties, "reply_to"),
        _name(properties, "correlation_id"),
        problem,
    )


def encode_address(queue: str) -> bytes:
    """Return the first part of an envelope, with the queue's name; `encode_contents` returns the second."""
    return b'{"properties":{"delivery_info":' + orjson.dumps({"exchange": "", "routing_key": queue})


def encode_contents(body: bytes, correlation_id: str | None) -> bytes:
    """Return the second part of an envelope, with the JSON body and a new delivery tag."""
    properties: dict[str, Any] = {
        "delivery_tag": str(uuid4()),
        "delivery_mode": 2,
        "priority": 0,
        "body_encoding": "base64",
    }
    if correlation_id is not None:
        properties["correlation_id"] = correlation_id
    envelope = {
        "body": b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {},
    }
    # The first part left both JSON objects open: this part continues and closes them.
    return b"," + orjson.dumps(properties)[1:] + b"," + orjson.dumps(envelope)[1:]


def _body(envelope: dict[str, Any], properties: dict[str, Any]) -> tuple[bytes | None, str | None]:
    body, encoding = envelope.get("body"), _word(properties, "body_encoding")
    if encoding in _UNENCODED and isinstance(body, dict):
        # kombu encodes bytes like this if its base64 encoding is switched off.
        encoding, body = _ENCODING_OF_TYPE.get(_word(body, "__type__"), "?"), body.get("__value__")
    if not isinstance(body, str) or not body:
        return None, _NO_BODY
    if _table(envelope, "headers").get("compression"):
        return None, _COMPRESSED
    if encoding == "base64":
        try:
            return b64decode(body, validate=True), None
        except ValueError:
            return None, _NO_BASE64
    return (body.encode(), None) if encoding in _UNENCODED else (None, _BODY_ENCODING)


def _problem(envelope: dict[str, Any], properties: dict[str, Any]) -> str | None:
    delivery = _table(properties, "delivery_info")
    if not all(isinstance(delivery.get(name), str) for name in ("exchange", "routing_key")):
        return _NO_DELIVERY_INFO
    kind, *parameters = (_word(envelope, "content-type") or "").split(";")
    pairs = (part.partition("=") for part in parameters)
    charsets = {value.strip(' "') for name, _, value in pairs if name.strip() == "charset"}
    if kind.strip() not in JSON_TYPES or not charsets <= _CHARSETS:
        return _TYPE
    return None if _word(envelope, "content-encoding") in _ENCODINGS else _ENCODING


def _table(within: dict[str, Any], name: str) -> dict[str, Any]:
    value = within.get(name)
    return value if isinstance(value, dict) else {}


def _name(within: dict[str, Any], name: str) -> str | None:
    value = within.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None


def _word(within: dict[str, Any], name: str) -> str | None:
    """Return a text in lower case; `None` if it is missing, `?` if it is no text."""
    value = within.get(name)
    return value.lower() if isinstance(value, str) else value if value is None else "?"
