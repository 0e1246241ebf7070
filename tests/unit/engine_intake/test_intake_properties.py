"""Intake on anything at all: it never raises, loses no event, tells no secret, and keeps every byte."""

import json
import re
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from intake_cases import body, entry, event
from profiles import examples

from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.verdicts import Refusal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        *("specversion", "id", "source", "type", "data", "time", "account", "replyto", "sequence"),
        *("groupId", "groupKey", "operateType", "phones", "groupName", "remark", "limit", "offset"),
    ]
)
PHONES = st.from_regex(r"\A[1-9][0-9]{6,14}\Z")


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Events with some of their parts replaced by anything, phone numbers above all."""
    found = event(
        draw(st.text(min_size=1, max_size=5)), draw(st.sampled_from(["update", "create", "delete", "list"]))
    )
    anything = JSON | PHONES | st.lists(PHONES) | st.dictionaries(PHONES, PHONES, max_size=3)
    found |= draw(st.dictionaries(NAMES, anything, max_size=2))
    if isinstance(found["data"], dict):
        found["data"] |= draw(st.dictionaries(NAMES | PHONES, anything, max_size=2))
    return found


def read(raw: bytes, limit: int = 1_048_576) -> tuple[Entry, list[Command | Refusal]]:
    """Everything that holds for every message, checked."""
    message = entry(raw)
    message.reply_to, message.correlation_id = "queue", "77"
    items = Intake(limit).read(message)
    indexes = [item.origin.index if isinstance(item, Refusal) else item.origins[0].index for item in items]
    assert indexes == sorted(set(indexes))
    assert len(items) == message.total >= 1
    for item in items:
        origin = item.origin if isinstance(item, Refusal) else item.origins[0]
        assert origin.entry is message
        for said in (
            *(item.key or ()),
            item.type,
            origin.reply_to,
            origin.correlation_id,
            origin.traceparent,
        ):
            assert said is None or (1 <= len(said) <= 255 and "\n" not in said and "\x1b" not in said)
        if isinstance(item, Refusal):
            assert item.message
            assert item.body in raw
    again = Entry(0, "1-0", raw, settled=set(indexes[::2]))
    again.reply_to, again.correlation_id = "queue", "77"
    left = Intake(limit).read(again)
    if message.is_array:
        # Marks of all that there is would be no marks: such a message has left the broker.
        assert [item.key for item in left] == [item.key for item in (items[1::2] or items)]
    assert (again.is_array, again.total) == (message.is_array, message.total)
    return message, items


@given(st.binary(max_size=300))
@example(b"[")
@example(b'[{"id":"a","source":"b"}')
@example(b'\xef\xbb\xbf[{"id":"a","source":"b"}]')
def test_random_bytes(raw: bytes) -> None:
    """Nothing raises. What is no array is one event, kept whole."""
    message, items = read(raw)
    if not message.is_array:
        (item,) = items
        assert isinstance(item, Refusal)
        assert item.body == raw


@given(
    st.lists(st.sampled_from([*'[]{},:"\\', "\\u", " ", "NaN", '"id"', '"source"', '"a"', "1"]), max_size=60)
)
@examples(300)
def test_random_tokens(tokens: list[str]) -> None:
    """Nor on what looks like JSON, with its brackets and quotes in any order."""
    read("".join(tokens).encode())
    read(b"[" + "".join(tokens).encode() + b"]")


@given(JSON)
def test_random_json(value: Any) -> None:
    """An event for each element of an array, else one."""
    raw = json.dumps(value).encode()
    message, items = read(raw)
    if isinstance(value, list) and value:
        assert len(items) == len(value)
        assert message.is_array
    else:
        assert len(items) == 1
    assert all(isinstance(item, Refusal) for item in items)


@given(st.lists(events(), max_size=4))
@examples(60)
def test_no_event_is_lost(found: list[dict[str, Any]]) -> None:
    """Each comes to the end that it would have come to alone."""
    _, items = read(body(found))
    assert len(items) == max(1, len(found))
    for item, value in zip(items, found, strict=False):
        _, (alone,) = read(body(value))
        assert (type(item), item.key) == (type(alone), alone.key)
        if isinstance(item, Command) and isinstance(alone, Command):
            assert (item.fingerprint, item.group, item.numbers) == (
                alone.fingerprint,
                alone.group,
                alone.numbers,
            )
        if isinstance(item, Refusal) and isinstance(alone, Refusal):
            assert (item.message, item.body) == (alone.message, alone.body)


@given(events())
@examples(150)
def test_no_number_is_told(value: dict[str, Any]) -> None:
    """A refusal's message has nothing of the event in it: logs and letters have it."""
    _, (item,) = read(body(value))
    if isinstance(item, Refusal):
        said = re.sub(r"(line|column|least|most|to) \d+", "", item.message)
        said = said.replace("'^([1-9][0-9]{6,14}(,[1-9][0-9]{6,14})*)?$'", "").replace("[0-9]{6,14}", "")
        assert not re.search(r"\d{7}", said)


@given(st.lists(events(), min_size=1, max_size=3), st.data())
@examples(60)
def test_truncated_at_any_byte(found: list[dict[str, Any]], data: st.DataObject) -> None:
    """Nothing of it is applied, everything is kept, and whoever came whole is answered."""
    raw = body(found)
    cut = data.draw(st.integers(0, len(raw) - 1))
    _, items = read(raw[:cut])
    assert all(isinstance(item, Refusal) for item in items)
    last = items[-1]
    assert isinstance(last, Refusal)
    assert (last.key, last.body) == (None, raw[:cut])


@given(st.lists(events(), min_size=1, max_size=3), st.integers(1, 600))
@examples(60)
def test_too_large(found: list[dict[str, Any]], limit: int) -> None:
    """The same for what is larger than the limit: refused, kept, answered where possible."""
    raw = body(found)
    _, items = read(raw, limit)
    if len(raw) > limit:
        assert all(isinstance(item, Refusal) for item in items)
        last = items[-1]
        assert isinstance(last, Refusal)
        assert (last.key, last.body) == (None, raw)
