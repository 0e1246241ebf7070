"""kombu's envelopes: what kombu writes is read, what it cannot have written is refused, nothing raises."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kombu import Connection
from kombu.transport.virtual import Message
from kombu.utils import json as kombu_json

from numbergroup.brokers.redis.envelope import (
    ENVELOPE_OVERHEAD,
    Unpacked,
    encode_address,
    encode_contents,
    unpack,
)

LIMIT = 1_048_576
EVENT = '{"specversion":"1.0","id":"c-1","source":"crm"}'

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
TYPES = (
    "application/json",
    "Application/CloudEvents+JSON; charset=UTF-8",
    "application/cloudevents-batch+json",
)


def envelope(body: Any = EVENT, /, **parts: Any) -> dict[str, Any]:
    """A good one, but for what is said; `properties` are added to its own."""
    properties = {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "q"}}
    properties |= parts.pop("properties", {})
    whole = {"body": body, "content-type": "application/json", "content-encoding": "utf-8", "headers": {}}
    return whole | {"properties": properties} | {name.replace("_", "-"): one for name, one in parts.items()}


def read(whole: Any) -> Unpacked:
    return unpack(json.dumps(whole).encode(), LIMIT)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.sampled_from(TYPES),
    st.sampled_from(["base64", None, "utf-8"]),
    st.integers(0, 9),
)
def test_what_kombu_writes(text: str, kind: str, encoding: str | None, priority: int) -> None:
    """kombu's own code writes the message: the body comes out byte by byte, the properties with it."""
    with Connection("memory://", transport_options={"body_encoding": encoding}) as connection:
        how: Any = {"priority": priority, "content_type": kind, "content_encoding": "utf-8"}
        connection.Producer().publish(text, "q", reply_to="r", correlation_id="7", **how)
        message = connection.default_channel._get("q")
    raw = kombu_json.dumps(message).encode()  # as its Redis transport does
    assert unpack(raw, LIMIT) == Unpacked(text.encode(), "r", "7", None)


@given(JSON, st.text(min_size=1), st.none() | st.text(min_size=1))
def test_what_kombu_reads(value: Any, queue: str, correlation_id: str | None) -> None:
    """kombu's own code decodes what is written for its consumers, with no serializer but its own."""
    body = json.dumps(value, allow_nan=False) if _finite(value) else "null"
    try:
        raw = encode_address(queue) + encode_contents(body.encode(), correlation_id)
    except TypeError:  # half of a surrogate pair, which no reader of JSON lets through
        return
    with Connection("memory://") as connection:
        message = Message(json.loads(raw), channel=connection.default_channel)
        assert message.decode() == json.loads(body)
    assert message.properties.get("correlation_id") == correlation_id
    assert message.delivery_info == {"exchange": "", "routing_key": queue}
    assert unpack(raw, LIMIT) == Unpacked(body.encode(), None, _short(correlation_id), None)


def _finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _short(text: str | None) -> str | None:
    return text if text and len(text) <= 255 else None


def test_every_envelope_has_a_tag_of_its_own() -> None:
    tags = {
        json.loads(encode_address("q") + encode_contents(b"{}", None))["properties"]["delivery_tag"]
        for _ in range(9)
    }
    assert len(tags) == 9


BAD_WITH_BODY: dict[str, dict[str, Any]] = {
    "nowhere": envelope(properties={"delivery_info": None}),
    "no-properties": {"body": EVENT, "properties": {}},
    "no-exchange": envelope(properties={"delivery_info": {"routing_key": "q"}}),
    "no-routing-key": envelope(properties={"delivery_info": {"exchange": "", "routing_key": None}}),
    "plain-text": envelope(content_type="text/plain"),
    "pickle": envelope(content_type="application/x-python-serialize"),
    "utf-16": envelope(content_type="application/json; charset=utf-16"),
    "no-type": envelope(content_type=None),
    "strange-type": envelope(content_type=["application/json"]),
    "latin": envelope(content_encoding="iso-8859-1"),
    "strange-encoding": envelope(content_encoding=7),
}
BAD_WHOLE: dict[str, Any] = {
    "array": [envelope()],
    "text": "envelope",
    "number": 7,
    "no-body": envelope(None),
    "empty": envelope(""),
    "object": envelope({"id": "c-1"}),
    "no-base64": envelope("{}", properties={"body_encoding": "base64"}),
    "bad-padding": envelope("e30", properties={"body_encoding": "base64"}),
    "not-ascii": envelope("é", properties={"body_encoding": "base64"}),
    "unknown-body-encoding": envelope(properties={"body_encoding": "base85"}),
    "strange-body-encoding": envelope(properties={"body_encoding": 64}),
    "compressed": envelope(headers={"compression": "application/x-gzip"}),
    "compressed-somehow": envelope(headers={"compression": 1}),
}


@pytest.mark.parametrize("whole", BAD_WITH_BODY.values(), ids=BAD_WITH_BODY)
def test_refused_with_its_body(whole: dict[str, Any]) -> None:
    """The body can be read, so its sender can be answered."""
    whole["properties"] |= {"reply_to": "r", "correlation_id": "7"}
    found = read(whole)
    assert found == Unpacked(EVENT.encode(), "r", "7", found.problem)
    assert found.problem


@pytest.mark.parametrize("whole", BAD_WHOLE.values(), ids=BAD_WHOLE)
def test_refused_as_a_whole(whole: Any) -> None:
    """Without a body to be had, everything is kept as it was on the list."""
    found = read(whole)
    assert found.body == json.dumps(whole).encode()
    assert found.problem


@pytest.mark.parametrize(
    "whole",
    [
        envelope(headers=None),
        envelope(headers={"compression": None, "more": 1}),
        envelope(content_encoding=None),
        envelope(content_encoding="BINARY"),
        envelope(content_type='application/JSON ; Charset="utf-8"; profile=x'),
        envelope(properties={"body_encoding": None, "delivery_mode": "2", "priority": None}),
        envelope(base64.b64encode(EVENT.encode()).decode(), properties={"body_encoding": "base64"}),
    ],
    ids=range(7),
)
def test_good_in_other_ways(whole: dict[str, Any]) -> None:
    assert read(whole) == Unpacked(EVENT.encode())


@pytest.mark.parametrize("name", [7, "", [], "x" * 256, None])
def test_properties_that_are_no_names(name: Any) -> None:
    """They are as good as none; the message is none the worse for it."""
    assert read(envelope(properties={"reply_to": name, "correlation_id": name})) == Unpacked(EVENT.encode())


@given(st.binary(max_size=200) | JSON.map(json.dumps).map(str.encode))
@example(b"")
@example(b"{")
@example(b'{"bode":"{}"}')
@example(json.dumps(envelope()).encode() + b"x")
@example(b'{"body":"\xff"}')
@example(b'{"body":"\\ud800"}')
@example(b'{"body":NaN}')
@example(b"[" * 100_000)
@example(b'{"properties":' * 100_000)
@example(b'{"properties":{"body_encoding":' + b"[" * 1_000 + b"]" * 1_000 + b'},"body":"a"}')
@example(b'{"body":' + b"9" * 50_000 + b"}")
def test_anything_else(raw: bytes) -> None:
    """Not kombu's: refused, and every byte is kept."""
    found = unpack(raw, LIMIT)
    assert found.problem
    assert found.body == raw


@given(st.dictionaries(st.sampled_from([*envelope(), "other"]), JSON), st.dictionaries(st.text(), JSON))
def test_parts_that_are_anything(parts: dict[str, Any], properties: dict[str, Any]) -> None:
    """An envelope with any of its parts exchanged: the body, or all of it; never an error."""
    whole = envelope() | parts
    if isinstance(whole["properties"], dict):
        whole["properties"] = whole["properties"] | properties
    raw = json.dumps(whole).encode()
    found = unpack(raw, LIMIT)
    assert found.body == raw or found.body == whole["body"].encode()
    assert found.problem is None or "\n" not in found.problem


def test_what_is_too_large_is_not_parsed() -> None:
    """The largest body fits in any encoding; what is larger is refused by its size alone."""
    letters = "ж" * 500
    assert read(envelope(letters)).body == unpack(json.dumps(envelope(letters)).encode(), 1_000).body
    assert unpack(json.dumps(envelope(letters)).encode(), 1_000).problem is None
    huge = json.dumps(envelope("x" * (3 * 1_000 + ENVELOPE_OVERHEAD))).encode()
    found = unpack(huge, 1_000)
    assert found.body == huge
    assert "limit" in (found.problem or "")


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 1_000_000,
        b'{"content-type":"' + b";charset=utf-8" * 70_000 + b'","body":"a"}',
        b'{"properties":{"body_encoding":"base64"},"body":"' + b"=" * 1_000_000 + b'"}',
        b'{"a":' * 200_000,
        b'{"body":' + b"1" * 1_000_000 + b"}",
    ],
    ids=["arrays", "parameters", "padding", "objects", "number"],
)
def test_a_megabyte_of_anything(raw: bytes) -> None:
    """Time grows with the size, not with its square: a tenth of a second is a lot."""
    began = time.process_time()
    assert unpack(raw, LIMIT).problem
    assert time.process_time() - began < 1.0
