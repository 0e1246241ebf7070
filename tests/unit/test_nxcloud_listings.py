"""NXCloud's listings: groups as the vendor shows them, and listings that prove nothing."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from nxcloud_answers import LIST, REQUEST_ID, outcome, said

from numbergroup.engine.calls import Applied, Group, Unavailable


def row(**changed: Any) -> dict[str, Any]:
    """The group on the vendor's page "Query Number Groups"."""
    return {
        "customerId": "cus_1",
        "groupName": "groupA",
        "groupId": "b8c2aaf940d534d3c9ed8b780757f94e",
        "phones": "85211111114,85235753351",
        "remark": "Number Group A",
        **changed,
    }


GROUP_A = Group(
    "b8c2aaf940d534d3c9ed8b780757f94e",
    "groupA",
    "Number Group A",
    ("85211111114", "85235753351"),
    "cus_1",
)


def test_a_listing_as_on_the_vendors_page() -> None:
    """Groups with their names, remarks and numbers, and the total."""
    got = outcome(LIST, said(0, data={"groups": [row()], "total": 1}))
    assert got == Applied(REQUEST_ID, groups=(GROUP_A,), total=1)


@pytest.mark.parametrize("groups", [None, [], {}, "", "absent"])
def test_an_empty_listing(groups: Any) -> None:
    """`groups` absent, or empty in any way, is a listing without groups."""
    data = {"total": 0} if groups == "absent" else {"groups": groups, "total": 0}
    assert outcome(LIST, said(0, data=data)) == Applied(REQUEST_ID, groups=(), total=0)


@pytest.mark.parametrize("data", [None, [], {}, ""])
def test_empty_data(data: Any) -> None:
    """`data` that is there, and empty in any way, is a listing without groups."""
    assert outcome(LIST, said(0, data=data)) == Applied(REQUEST_ID, groups=(), total=None)


@pytest.mark.parametrize(
    "phones",
    [
        " 85211111114 , 85235753351 ",
        ",85211111114,,85235753351,",
        ["85211111114", "85235753351"],
        [85211111114, None, "", " 85235753351 "],
        ["85211111114,85235753351"],
        {"0": "85211111114", "2": 85235753351.0},
    ],
)
def test_numbers_in_other_ways(phones: Any) -> None:
    """White space and empty places between the commas are not part of numbers. They may come as an array, and
    each as a text or as a number."""
    got = outcome(LIST, said(0, data={"groups": [row(phones=phones)], "total": 1}))
    assert got == Applied(REQUEST_ID, groups=(GROUP_A,), total=1)


@pytest.mark.parametrize(
    "groups",
    [[row(phones=85235753351), row(groupId="g")], {"3": row(phones=85235753351), "7": row(groupId="g")}],
)
def test_a_single_number_and_rows_with_gaps(groups: Any) -> None:
    """The only number of a group may come as a number, and rows as PHP writes an array with gaps."""
    got = outcome(LIST, said(0, data={"groups": groups, "total": 2}))
    expected = (replace(GROUP_A, numbers=("85235753351",)), replace(GROUP_A, group_id="g"))
    assert got == Applied(REQUEST_ID, groups=expected, total=2)


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_a_group_without_anything(empty: Any) -> None:
    """Null and empty texts of a group are empty texts, and no numbers."""
    got = outcome(LIST, said(0, data={"groups": [row(phones=empty, groupName=empty, remark=empty)]}))
    assert got == Applied(REQUEST_ID, groups=(Group(GROUP_A.group_id, "", "", (), "cus_1"),), total=None)


@pytest.mark.parametrize(
    "data",
    [
        "x",
        ["x"],
        [[]],
        {"groups": {"a": row()}},
        {"groups": "x"},
        {"groups": False},
        {"groups": [None]},
        {"groups": [row(groupId=None)]},
        {"groups": [row(groupId=7.5)]},
        {"groups": [row(groupId=True)]},
        {"groups": [row(groupId="")]},
        {"groups": [row(phones=[["85211111114"]])]},
        {"groups": [row(phones=[{"phone": "85211111114"}])]},
        {"groups": [row(phones={"phone": "85211111114"})]},
        {"groups": [row(phones=8521111111.4)]},
        {"groups": [row(phones=True)]},
    ],
)
def test_a_listing_that_is_none(data: Any) -> None:
    """A listing that cannot be read whole proves nothing: it is no success, not even in part."""
    assert isinstance(outcome(LIST, said(0, data=data)), Unavailable)
    assert isinstance(outcome(LIST, said(0)), Unavailable)


@pytest.mark.parametrize("total", ["3", 3])
def test_the_total_may_be_a_string(total: Any) -> None:
    """`total` is a number, also when it came as a string."""
    got = outcome(LIST, said(0, data={"groups": [], "total": total}))
    assert got == Applied(REQUEST_ID, groups=(), total=3)


def test_a_remark_that_is_cut_within_an_emoji() -> None:
    """One group's text does not hide all others."""
    body = orjson.dumps(said(0, data={"groups": [row(remark="cut")], "total": 1}))
    got = outcome(LIST, body.replace(b'"cut"', rb'"cut \ud83d"'))
    assert got == Applied(REQUEST_ID, groups=(replace(GROUP_A, remark="cut \ufffd"),), total=1)
