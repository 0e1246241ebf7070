"""What becomes of numbers in Ozonetel's groups: when they leave, whose they are, how they are spelt."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ozonetel_rig import DESCRIPTION, INVALID_GROUP, MODES, NAME, A, B, C, Ozonetel

from numbergroup.sandbox.ozonetel_groups import BlockGroup, format_number, list_digit_forms

in_every_mode = pytest.mark.parametrize("mode", MODES)


@in_every_mode
async def test_expiry(mode: str) -> None:
    """A number leaves at its expiry date in India's time; one without stays; the last date given counts."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A, B, expiryDate="2023-11-15 03:44:00")
        await rig.add(group, C)
        await rig.add(group, B, expiryDate="2023-11-15 03:45:00")
        leaves = datetime(2023, 11, 14, 22, 14, tzinfo=UTC)
        rig.now_ms = int(leaves.timestamp() * 1000) - 1
        assert await rig.phones() == [A, B, C]
        rig.now_ms += 1
        assert await rig.phones() == [B, C]
        assert (await rig.delete(group, A)).json["output"]["deleted"] == 0
        assert (await rig.add(group, A)).json["output"]["new"] == 1
        rig.now_ms += 60_000
        assert await rig.phones() == [C, A]


@pytest.mark.parametrize("date", ["tomorrow", "2026-01-02", "2026-01-02T03:04:05", "2026-13-01 00:00:00", 7])
async def test_wrong_expiry_dates(date: Any) -> None:
    """A date of another format is refused, and says which field is wrong."""
    async with Ozonetel() as rig:
        reply = await rig.create(A, expiryDate=date)
        assert (reply.json["message"], list(reply.json["errors"])) == ("invalid data", ["expiryDate"])
        assert await rig.phones() is None


async def test_users_are_apart() -> None:
    """A user neither sees nor reaches another's groups."""
    async with Ozonetel(ozonetel_credentials={"sandbox": "sandbox-api-key", "other": "other-key"}) as rig:
        await rig.created(A)
        rig.user, rig.key = "other", "other-key"
        assert (await rig.add(NAME, B)).json == INVALID_GROUP
        assert (await rig.create(B)).json["output"]["lastInsertId"] == 2
        shown = (await rig.control("GET", "/_sandbox/groups?userName=other")).json["groups"]
        assert [(group["userName"], group["phones"]) for group in shown] == [("other", [B])]


numbers = st.from_regex(r"\+?[0-9]{4,15}", fullmatch=True)


@given(numbers)
def test_spellings_are_of_one_number(number: str) -> None:
    """However a number is spelt, it is the same one, and spelling it again changes nothing."""
    assert format_number(format_number(number)) == format_number(number)
    assert format_number(number).removeprefix("+") in list_digit_forms(number)
    for one in list_digit_forms(number):
        assert list_digit_forms(one) == list_digit_forms(number)


@given(st.lists(st.tuples(st.booleans(), st.lists(numbers, max_size=5)), max_size=8))
def test_a_group_is_a_set_of_numbers(changes: list[tuple[bool, list[str]]]) -> None:
    """Whatever is added and deleted in whatever spelling, the group is the set; the counts are its growth."""
    group, wanted = BlockGroup(1, NAME, DESCRIPTION), set[frozenset[str]]()
    for adds, named in changes:
        before = len(wanted)
        if adds:
            wanted |= {list_digit_forms(one) for one in named}
            assert group.add(named, None, 0) == len(wanted) - before
        else:
            wanted -= {list_digit_forms(one) for one in named}
            assert group.remove(named, 0) == before - len(wanted)
        assert {list_digit_forms(one.sent) for one in group.members.values()} == wanted
