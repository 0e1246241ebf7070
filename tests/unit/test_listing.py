"""A listing of all groups, page by page, from vendors that cut pages short, count in their own way, and
change meanwhile: what it does not have is not there."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.calls import Applied, Call, CallKind, Group, Outcome
from numbergroup.vendors.listing import Listing

FIND = Call(CallKind.FIND_CREATED)


def group(name: str) -> Group:
    return Group(name, name, "", ())


@dataclass
class Vendor:
    """Shows so many groups a page at most. `total` counts `all` groups, those of the `page`, or is missing
    (`none`). Before each page but the first it makes the next of the changes: the places of groups that are
    deleted, and how many are made, at the end or `in_front`."""

    groups: list[str]
    cap: int = 1000
    counts: str = "all"
    changes: list[tuple[list[int], int]] = field(default_factory=list)
    in_front: bool = False
    made: int = 0
    asked: int = 0

    def page(self, call: Call) -> Applied:
        if self.asked and self.changes:
            self._change(*self.changes.pop(0))
        self.asked += 1
        shown = self.groups[call.offset : call.offset + min(call.limit, self.cap)]
        total = {"all": len(self.groups), "page": len(shown), "none": None}[self.counts]
        return Applied(None, groups=tuple(map(group, shown)), total=total)

    def _change(self, places: list[int], makes: int) -> None:
        for place in places:
            if self.groups:
                del self.groups[place % len(self.groups)]
        for _ in range(makes):
            self.made += 1
            self.groups.insert(0 if self.in_front else len(self.groups), f"made {self.made}")


def read(vendor: Vendor, look: Call = FIND, page_size: int = 1000) -> Outcome:
    """How the listing ends."""
    listing = Listing(page_size, look)
    while True:
        ended = listing.add_page(vendor.page(listing.page))
        if ended is not None:
            return ended


COUNTS = ("all", "page", "none")
names = st.integers(0, 12).map(lambda count: [f"g-{n}" for n in range(count)])
changes = st.lists(st.tuples(st.lists(st.integers(0, 12), max_size=2), st.integers(0, 2)), max_size=6)


@given(names, st.integers(2, 5), st.sampled_from(COUNTS))
def test_a_vendor_that_stands_still_is_listed_whole(groups: list[str], cap: int, counts: str) -> None:
    """Every group once, in order, and what is not among them does not exist."""
    ended = read(Vendor(groups, cap, counts))
    assert isinstance(ended, Applied)
    assert [one.group_id for one in ended.groups or ()] == groups
    assert ended.complete


@given(names, st.integers(2, 5), st.sampled_from(COUNTS), changes, st.booleans())
def test_what_a_complete_listing_does_not_have_is_not_there(
    groups: list[str], cap: int, counts: str, changes: list[tuple[list[int], int]], in_front: bool
) -> None:
    """Whatever is deleted and made between its pages: a group that was there all the time is in it."""
    vendor = Vendor([*groups], cap, counts, changes, in_front)
    ended = read(vendor)
    if isinstance(ended, Applied) and ended.complete:
        found = {one.group_id for one in ended.groups or ()}
        assert found >= set(groups).intersection(vendor.groups)


@pytest.mark.parametrize(
    ("count", "cap", "counts", "pages"),
    [
        (250, 100, "page", 4),
        (250, 100, "all", 3),
        (100, 100, "page", 2),
        (100, 1000, "page", 2),
        (100, 1000, "all", 2),
        (1000, 1000, "all", 2),
        (1998, 1000, "all", 2),
        (1999, 1000, "all", 2),
        (1, 1000, "all", 2),
        (0, 1000, "all", 1),
        (0, 1000, "none", 1),
    ],
)
def test_how_many_pages_an_absence_costs(count: int, cap: int, counts: str, pages: int) -> None:
    """One more than the groups need, where `total` has not told that it counts them all."""
    vendor = Vendor([f"g-{n}" for n in range(count)], cap, counts)
    ended = read(vendor)
    assert isinstance(ended, Applied)
    assert (ended.complete, len(ended.groups or ()), vendor.asked) == (True, count, pages)


@pytest.mark.parametrize("counts", COUNTS)
def test_a_group_that_is_there_costs_no_page_more(counts: str) -> None:
    """In the ordinary case there is one page, and one call."""
    vendor = Vendor(["a", "b", "c"], counts=counts)
    ended = read(vendor, Call(CallKind.READ_MEMBERS, group_id="b"))
    assert isinstance(ended, Applied)
    assert group("b") in (ended.groups or ())
    assert vendor.asked == 1


def test_one_deleted_and_one_made_between_two_pages() -> None:
    """`total` stays what it is, and the second page would have skipped a group."""
    ended = read(Vendor(["a", "b", "c", "d"], 2, changes=[([0], 1)]))
    assert isinstance(ended, Applied)
    assert not ended.complete


def test_a_vendor_with_one_group_a_page_proves_nothing() -> None:
    """Its pages cannot overlap."""
    ended = read(Vendor(["a", "b", "c"], 1))
    assert isinstance(ended, Applied)
    assert (len(ended.groups or ()), ended.complete) == (3, False)


@pytest.mark.parametrize("total", [4, 5])
def test_a_vendor_that_counts_more_than_it_shows(total: int) -> None:
    """It proves nothing, and says why."""
    listing = Listing(2, FIND)
    for shown in ("ab", "bc", "c"):
        ended = listing.add_page(Applied(None, groups=tuple(map(group, shown)), total=total))
    assert isinstance(ended, Applied)
    assert (ended.complete, ended.total) == (False, total)
    assert ended.incomplete_reason == f"the vendor counts {total} groups, and lists 3"
