"""NXCloud's listings: groups as the vendor shows them, and listings that prove nothing."""

from typing import Any

import pytest
from nxcloud_answers import LIST, REQUEST_ID, outcome, said

from numbergroup.engine.model import Applied, Group, Unavailable


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


@pytest.mark.parametrize("groups", [None, [], "absent"])
def test_an_empty_listing(groups: Any) -> None:
    """`groups` null or absent is a listing without groups."""
    data = {"total": 0} if groups == "absent" else {"groups": groups, "total": 0}
    assert outcome(LIST, said(0, data=data)) == Applied(REQUEST_ID, groups=(), total=0)


@pytest.mark.parametrize("phones", [" 85211111114 , 85235753351 ", ",85211111114,,85235753351,"])
def test_numbers_with_spaces(phones: str) -> None:
    """White space and empty places between the commas are not part of numbers."""
    got = outcome(LIST, said(0, data={"groups": [row(phones=phones)], "total": 1}))
    assert got == Applied(REQUEST_ID, groups=(GROUP_A,), total=1)


@pytest.mark.parametrize("empty", [None, ""])
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
        {"groups": {}},
        {"groups": "x"},
        {"groups": False},
        {"groups": [None]},
        {"groups": [row(groupId=None)]},
        {"groups": [row(groupId=7.5)]},
        {"groups": [row(groupId=True)]},
        {"groups": [row(groupId="")]},
        {"groups": [row(phones=["85211111114"])]},
        {"groups": [row(phones=85211111114)]},
        {"groups": [row(phones=[])]},
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
