"""Packing commands into messages: in order, whole, and no larger than allowed."""

import json
from collections import defaultdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup_contracts import InvalidCommand, UpdateGroup, publish
from numbergroup_contracts.commands import COMMAND_ADAPTER
from numbergroup_contracts.names import hash_key, partition_of
from numbergroup_contracts.publishing.packing import Event, pack_messages, read_chunks, read_event

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "c-1",
    "source": "crm",
    "type": "numbergroup.update.v1",
    "data": {"groupId": "g1", "operateType": "add", "phones": ["85211111114"]},
}
MOST = 400

HANDLES = st.sampled_from(["", "a", "b", "c", "ü" * 20])
EVENTS = st.lists(st.builds(lambda n, handle: (handle, b"1" * n), st.integers(1, MOST), HANDLES), max_size=60)


@given(events=EVENTS, batch=st.integers(1, 12), lanes=st.integers(1, 3))
def test_packing(events: list[tuple[str, bytes]], batch: int, lanes: int) -> None:
    """Every event goes out once, in the order of its lane, in messages of one lane, of at most `batch` events
    and of at most so many bytes; alone, it goes out as it is."""
    given_events = [Event(b"%d%05d" % (len(body), n), handle) for n, (handle, body) in enumerate(events)]
    given_events = [Event(one.body + events[n][1], one.handle) for n, one in enumerate(given_events)]
    most = max((len(one.body) for one in given_events), default=1)
    wanted, sent = defaultdict(list), defaultdict(list)
    for one in given_events:
        wanted[str(partition_of(one.handle, lanes))].append(one.body)
    packed = pack_messages(given_events, lambda handle: str(partition_of(handle, lanes)), batch, most)
    for message in packed:
        assert len(message.body) <= most
        bodies = message.body.strip(b"[]").split(b",")
        assert len(bodies) == message.commands <= batch
        assert message.body.startswith(b"[") or message.commands == 1
        sent[message.destination] += bodies
    assert sent == wanted


def test_alone_the_order_is_kept_over_all() -> None:
    """Without arrays nothing is regrouped."""
    events = [Event(b"%d" % n, "ab"[n % 2]) for n in range(10)]
    assert [message.body for message in pack_messages(events, str, 1, 100)] == [one.body for one in events]


@pytest.mark.parametrize("batch", [1, 3, 700, 1000])
def test_chunks_read_lazily(batch: int) -> None:
    """Commands without end are read a chunk at a time, and chunks hold whole arrays."""
    asked = 0

    def endless() -> Any:
        nonlocal asked
        while True:
            asked += 1
            yield EVENT

    first = next(read_chunks(endless(), batch, 10_000))
    assert len(first) == asked
    assert 1_000 <= asked < 2_000
    assert asked % batch == 0


def test_large_commands_make_short_chunks() -> None:
    """Memory is bounded in bytes, too."""
    large = {**EVENT, "data": {**EVENT["data"], "phones": ["85211111114"] * 50_000}}
    assert [len(chunk) for chunk in islice(read_chunks([large] * 60, 1, 1 << 20), 2)] == [24, 24]


def test_every_form_of_a_command() -> None:
    """A model, a dict and JSON are the same command; JSON goes out byte by byte."""
    text = json.dumps(EVENT, indent=1)
    model = COMMAND_ADAPTER.validate_json(text)
    for form in (model, EVENT, text, text.encode()):
        event = read_event(form, 0, 10_000)
        assert event.handle == "g1"
        assert COMMAND_ADAPTER.validate_json(event.body) == model
    assert read_event(text, 0, 10_000).body == text.encode()
    foreign = {**EVENT, "x-own": {"of": "ours"}, "time": datetime(2026, 11, 21, tzinfo=UTC)}
    sent = json.loads(read_event(foreign, 0, 10_000).body)
    assert (sent["x-own"], sent["time"]) == ({"of": "ours"}, "2026-11-21T00:00:00Z")


def test_the_handle() -> None:
    """The name by which a command addresses its group; commands without a group have none."""
    create = {**EVENT, "type": "numbergroup.create.v1", "data": {"phones": "85211111114"}}
    assert read_event(create, 0, 1_000).handle == ""
    assert read_event({**create, "data": {**create["data"], "groupKey": "k"}}, 0, 1_000).handle == "k"
    assert (
        read_event({**EVENT, "type": "numbergroup.delete.v1", "data": {"groupKey": "k"}}, 0, 1_000).handle
        == "k"
    )
    assert read_event({**EVENT, "type": "numbergroup.list.v1", "data": {}}, 0, 1_000).handle == ""


BAD: list[tuple[Any, str]] = [
    ({**EVENT, "data": {**EVENT["data"], "phones": ["+85211111114"]}}, "phones"),
    ({**EVENT, "type": "numbergroup.move.v1"}, "type: none of"),
    ({**EVENT, "own": object()}, "not JSON"),
    ({**EVENT, "own": float("nan")}, "not JSON"),
    (UpdateGroup.model_construct(type="numbergroup.update.v1", id="x"), "source: is missing"),
    (b"{", "JSON"),
    (b'{"id": "\xff"}', "JSON"),
    ("\ud800", "not JSON"),
    (json.dumps([EVENT]), ""),
    (None, ""),
    ({**EVENT, "subject": "x" * 20_000}, "a message may have 10,000"),
]


@pytest.mark.parametrize(("command", "said"), BAD)
def test_what_is_no_command(command: Any, said: str) -> None:
    """It is named by its place and what is wrong with it, without quoting it, and takes no broker."""
    with pytest.raises(InvalidCommand) as caught:
        publish([EVENT, EVENT, command], "redis://127.0.0.1:1/0", max_message_bytes=10_000)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.index, caught.value.confirmed) == (2, 0)
    assert str(caught.value).startswith("commands[2] is no command: ")
    assert said in str(caught.value)
    assert "85211111114" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://127.0.0.1", {}),
        ("redis://127.0.0.1", {"batch": 0}),
        ("redis://127.0.0.1", {"batch": 1_001}),
        ("redis://127.0.0.1", {"partitions": 0}),
        ("amqp://127.0.0.1", {"exchange": "fanout"}),
    ],
)
def test_mistakes_in_the_arguments(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must b|is not a valid"):
        publish([], url, **options)


def test_the_routing_key_of_a_long_handle() -> None:
    """AMQP allows 255 bytes; a character is not cut in two."""
    assert hash_key("group-1") == "group-1"
    assert hash_key("組" * 128) == "組" * 85
