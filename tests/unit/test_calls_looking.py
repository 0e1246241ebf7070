"""Looking through all groups: every page, a permit for each, and an end in any case."""

import orjson
import pytest
from calls_rig import FIND, KEY, MIB, Rig
from deadlines import deadline

from numbergroup.engine.calls import Applied, Call, CallKind, Unavailable, Withheld
from numbergroup.sandbox.faults import Drop, HideGroups, PageCap, Status
from numbergroup.vendors import listing


def seed(rig: Rig, count: int, numbers: int = 1) -> None:
    phones = [f"8521{n:07}" for n in range(numbers)]
    for n in range(count):
        rig.sandbox.state.groups.put(KEY, f"g-{n}", phones)


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (999, 2), (1000, 2), (1001, 2), (2001, 3)])
@pytest.mark.parametrize("kind", [CallKind.FIND_CREATED, CallKind.READ_MEMBERS])
async def test_all_pages(kind: CallKind, count: int, pages: int) -> None:
    """Every group is found, once and in order; each page after the first takes a permit of its own."""
    async with Rig() as rig:
        seed(rig, count)
        ended = await rig.run(Call(kind))
        assert isinstance(ended.outcome, Applied)
        assert [group.group_id for group in ended.outcome.groups or ()] == [f"g-{n}" for n in range(count)]
        assert (ended.attempts, rig.arrived, rig.permits) == (pages, pages, pages - 1)
        assert rig.intents == []


async def test_a_page_may_be_larger_than_other_answers() -> None:
    """A page of a thousand groups with many numbers is read whole."""
    async with Rig() as rig:
        seed(rig, 999, numbers=100)
        ended = await rig.run(FIND)
        assert isinstance(ended.outcome, Applied)
        groups = ended.outcome.groups or ()
        assert sum(len(",".join(group.numbers)) for group in groups) > MIB
        assert {len(group.numbers) for group in groups} == {100}


async def test_a_page_is_tried_again() -> None:
    """A page that fails is asked for again; looking leaves nothing in doubt."""
    async with Rig(page_size=2) as rig:
        seed(rig, 3)
        rig.fault(Drop(times=2))
        ended = await rig.run(FIND)
        assert isinstance(ended.outcome, Applied)
        assert len(ended.outcome.groups or ()) == 3
        assert (ended.attempts, ended.doubt_until, rig.permits) == (4, None, 3)


async def test_a_page_that_fails_ends_the_look() -> None:
    """What was found before is no result: absence is a proof only when all was read."""
    async with Rig(page_size=2, attempts=1) as rig:
        seed(rig, 3)

        def fail_later(_: int) -> bool:
            if rig.arrived == 1:
                rig.fault(Drop())
            return True

        rig.may_send = fail_later
        ended = await rig.run(FIND)
        assert isinstance(ended.outcome, Unavailable)
        assert (ended.attempts, ended.doubt_until) == (2, None)


async def test_a_listing_that_repeats_itself_ends() -> None:
    """A vendor that ignores `offset` is not asked for ever, and nothing counts as absent."""
    async with Rig(page_size=2) as rig:
        rows = [{"groupId": name, "groupName": name, "phones": "", "remark": ""} for name in "ab"]
        body = orjson.dumps({"code": 0, "data": {"groups": rows, "total": 2}}).decode()
        rig.fault(Status(status=200, body=body))
        async with deadline(10):
            ended = await rig.run(FIND)
        assert ended.outcome == Unavailable("the listing repeats itself", in_doubt=False)
        assert rig.arrived == 2


async def test_a_look_is_withheld_between_pages() -> None:
    """When the right to send ends, no further page is asked for."""
    async with Rig(page_size=2) as rig:
        seed(rig, 5)
        rig.may_send = lambda _: not rig.arrived
        ended = await rig.run(FIND)
        assert ended.outcome == Withheld()
        assert (ended.attempts, rig.arrived) == (1, 1)


async def test_no_permit_for_the_next_page() -> None:
    """A ledger that is away between two pages ends the look, and raises nothing."""
    async with Rig(page_size=2, attempts=2) as rig:
        seed(rig, 5)
        rig.permits_left = 1
        ended = await rig.run(FIND)
        assert ended.outcome == Unavailable("no permit: away", in_doubt=False, is_local=True)
        assert rig.arrived == 2


@pytest.mark.parametrize(("limit", "most"), [("_MAX_GROUPS", 4), ("_MAX_NUMBERS", 7)])
async def test_a_listing_without_end_ends(monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    """New groups on every page do not fill the memory: the look ends, and proves nothing."""
    monkeypatch.setattr(listing, limit, most)
    async with Rig(page_size=2) as rig:
        seed(rig, 9, numbers=2)
        ended = await rig.run(FIND)
        assert ended.outcome == Unavailable("the listing does not end", in_doubt=False)
        assert rig.arrived == 3


@pytest.mark.parametrize(("count", "most", "pages"), [(250, 100, 3), (3, 2, 2), (5, 2, 4), (100, 100, 2)])
async def test_a_vendor_that_caps_its_pages(count: int, most: int, pages: int) -> None:
    """A page that is shorter than was asked for is not the last while the vendor counts more groups."""
    async with Rig() as rig:
        seed(rig, count)
        rig.fault(PageCap(most=most))
        ended = await rig.run(FIND)
        assert isinstance(ended.outcome, Applied)
        assert ended.outcome.complete
        assert len(ended.outcome.groups or ()) == count
        assert rig.arrived == pages


async def test_a_vendor_that_counts_more_than_it_shows() -> None:
    """An empty page ends the listing, and what it does not show is not said to be absent."""
    async with Rig() as rig:
        seed(rig, 3)
        rig.fault(HideGroups(groups=frozenset({"g-2"})))
        ended = await rig.run(FIND)
        assert isinstance(ended.outcome, Applied)
        assert [group.group_id for group in ended.outcome.groups or ()] == ["g-0", "g-1"]
        assert (ended.outcome.complete, ended.outcome.total) == (False, 3)


async def test_a_look_ends_with_what_it_looks_for() -> None:
    """A group that is there costs no page more than the one that shows it."""
    async with Rig(page_size=2) as rig:
        seed(rig, 2)
        marker = "ng:0123456789abcdef01"
        made = rig.sandbox.state.groups.create(KEY, ["85211111114"], name="made", remark=f"vip [{marker}]")
        for n in range(3, 6):
            rig.sandbox.state.groups.put(KEY, f"g-{n}", ["85211111114"])
        for look, pages in (
            (Call(CallKind.READ_MEMBERS, group_id="g-1"), 1),
            (Call(CallKind.READ_MEMBERS, group_id="g-4"), 4),
            (Call(CallKind.FIND_CREATED, marker=marker), 2),
            (Call(CallKind.FIND_CREATED, group_id=made.group_id), 2),
            (Call(CallKind.FIND_CREATED, marker="ng:other"), 5),
        ):
            ended = await rig.run(look)
            assert isinstance(ended.outcome, Applied)
            assert ended.attempts == pages
            assert ended.outcome.complete is (look.marker == "ng:other")


async def test_a_look_while_a_group_is_deleted() -> None:
    """A group that the second page skips is not reported as absent; the next look finds it."""
    async with Rig(page_size=2) as rig:
        seed(rig, 3)

        def delete_after_first_page(_: int) -> bool:
            if rig.arrived == 1:
                rig.sandbox.state.groups.delete(KEY, "g-0")
            return True

        rig.may_send = delete_after_first_page
        ended = await rig.run(FIND)
        assert isinstance(ended.outcome, Applied)
        assert (ended.outcome.complete, ended.outcome.total) == (False, 3)
        assert ended.outcome.incomplete_reason == "the pages of the vendor's list do not join"
        ended = await rig.run(FIND)
        assert isinstance(ended.outcome, Applied)
        assert [group.group_id for group in ended.outcome.groups or ()] == ["g-1", "g-2"]
        assert ended.outcome.complete
