"""Entries of a command stream that cannot be commands by their shape: the mistake is named."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbergroup.brokers.redis.entry_shapes import body_to_keep, describe_wrong_fields
from numbergroup.engine.commands import Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.verdicts import Refusal

NUMBER = "85211111114"
EVENT = (
    '{"specversion": "1.0", "id": "%s", "source": "crm", "type": "numbergroup.update.v1",'
    f' "data": {{"groupId": "g", "operateType": "add", "phones": ["{NUMBER}"]}}}}'
)

NAMES = st.sampled_from([b"event", b"body", b"\xff", b""]) | st.binary()


def refusals(*flat: str | bytes) -> list[Refusal]:
    fields = [one.encode() if isinstance(one, str) else one for one in flat]
    found = Intake().read(Entry(0, "1-0", body_to_keep(fields), problem=describe_wrong_fields(fields)))
    assert all(isinstance(one, Refusal) for one in found)
    return [one for one in found if isinstance(one, Refusal)]


def names(found: list[Refusal]) -> list[str | None]:
    return [one.key.id if one.key else None for one in found]


@pytest.mark.parametrize("field", ["body", "data", "payload", "Event", "events", "json"])
def test_another_field(field: str) -> None:
    """The field is named, and the sender is answered: its event can be read."""
    (refusal,) = refusals(field, EVENT % "c-1")
    assert refusal.message.startswith(f"the entry has the field {field} and no field event: an entry has one")
    assert (names([refusal]), refusal.body) == (["c-1"], (EVENT % "c-1").encode())


def test_an_array_in_another_field() -> None:
    """Each of its events is answered."""
    found = refusals("body", f"[{EVENT % 'c-1'}, {EVENT % 'c-2'}]")
    assert names(found)[:2] == ["c-1", "c-2"]


def test_attributes_as_fields() -> None:
    """An event that was taken apart is answered, too, by its id and source; the fields are listed."""
    event = json.loads(EVENT % "c-1")
    event["data"] = json.dumps(event["data"])
    (refusal,) = refusals(*(text for pair in event.items() for text in pair))
    assert "5 fields (specversion, id, source, type, data) and no field event" in refusal.message
    assert names([refusal]) == ["c-1"]


def test_several_events() -> None:
    """None of them is lost without a word: each is answered, and an array is what was meant."""
    found = refusals("event", EVENT % "c-1", "event", EVENT % "c-2")
    assert names(found)[:2] == ["c-1", "c-2"]
    assert {one.message for one in found} == {
        "the entry has the field event 2 times: put several events into one JSON array"
    }


def test_names_of_fields_are_no_place_for_numbers() -> None:
    """What stands in an entry may be a phone number, also as the name of a field."""
    for flat in ([NUMBER, "x"], [NUMBER, "x", "event2", NUMBER], ["body", NUMBER], ["a b", NUMBER, "c", "d"]):
        (refusal,) = refusals(*flat)
        assert NUMBER not in refusal.message


def test_what_is_well_formed() -> None:
    """One field `event`, whatever else is there."""
    assert describe_wrong_fields([b"event", b"{}"]) is None
    assert describe_wrong_fields([b"trace", b"1", b"event", b"{}", b"kombu", b"{}"]) is None


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.binary()), min_size=1))
def test_anything(fields: list[tuple[bytes, bytes]]) -> None:
    """Whatever the fields are, it is a command's entry or it is refused, and nothing raises."""
    flat = [part for field in fields for part in field]
    if [name for name, _ in fields].count(b"event") != 1:
        assert describe_wrong_fields(flat)
        assert Intake().read(Entry(0, "1-0", body_to_keep(flat), problem=describe_wrong_fields(flat)))
