"""What becomes of the groups: the four actions, paging, the numbers a call, customers apart."""

import pytest
from test_sandbox_rig import GROUP, KEY, A, B, C, Rig

TWO_CUSTOMERS = {"credentials": {KEY: "sandbox-secret", "other": "other-secret"}}
OTHER = {"key": "other", "secret": "other-secret"}


async def test_update_adds_deletes_and_replaces() -> None:
    """0 adds at the end, 1 deletes, 2 replaces all; order is that of coming in, and a number is in once."""
    async with Rig() as rig:
        await rig.update(0, f"{B},{A},{B}")
        assert await rig.members() == [B, A]
        await rig.update(0, f"{C},{B}")
        assert await rig.members() == [B, A, C]
        await rig.update(1, B)
        assert await rig.members() == [A, C]
        await rig.update(2, f"{C},{B}")
        assert await rig.members() == [C, B]


async def test_what_is_so_already_succeeds() -> None:
    """Adding a member and deleting who is none is code 0 and changes nothing."""
    async with Rig() as rig:
        await rig.update(0, A)
        assert (await rig.update(0, A)).code == 0
        assert (await rig.update(1, B)).code == 0
        assert await rig.members() == [A]


async def test_a_group_may_become_empty() -> None:
    """Deleting the last number leaves the group, listed with an empty string."""
    async with Rig() as rig:
        await rig.update(0, A)
        await rig.update(1, A)
        listed = (await rig.call("listGroup", {"limit": 0, "offset": 0})).json["data"]["groups"]
        assert [group["phones"] for group in listed] == [""]


async def test_empty_name_becomes_the_id() -> None:
    """A group created without a name, or with an empty one, is named by its id."""
    async with Rig() as rig:
        for body in ({"phones": A}, {"phones": A, "groupName": ""}):
            created = (await rig.call("createGroup", body)).json["groupId"]
            listed = (await rig.call("listGroup", {"limit": 0, "offset": 0})).json["data"]["groups"]
            assert listed[-1]["groupName"] == created


async def test_ids_are_distinct_and_follow_the_seed() -> None:
    """Every create makes a new id; a sandbox of the same seed makes the same ones, of another seed not."""
    made = []
    for seed in (1, 1, 2):
        async with Rig(seed=seed) as rig:
            made.append([(await rig.call("createGroup", {"phones": A})).json["groupId"] for _ in range(5)])
    assert len(set(made[0])) == 5
    assert made[0] == made[1]
    assert made[0] != made[2]


async def test_unknown_group_is_adopted() -> None:
    """By default an unknown id is adopted by an update, and deleting one succeeds."""
    async with Rig() as rig:
        assert (await rig.update(1, A)).code == 0
        assert await rig.members() == []
        assert (await rig.call("deleteGroup", {"groupId": GROUP})).code == 0
        assert (await rig.call("deleteGroup", {"groupId": GROUP})).code == 0
        assert await rig.members() is None


async def test_strict_groups_refuse_the_unknown() -> None:
    """With strict groups an update and a delete of an unknown id are 1002, and of a deleted one too."""
    async with Rig(strict_groups=True) as rig:
        for reply in (await rig.update(0, A), await rig.call("deleteGroup", {"groupId": GROUP})):
            assert reply.code == 1002
            assert "group does not exist" in reply.json["msg"]
        assert (await rig.last_call())["applied"] is False
        group_id = (await rig.call("createGroup", {"phones": A})).json["groupId"]
        assert (await rig.update(0, B, group_id)).code == 0
        assert (await rig.call("deleteGroup", {"groupId": group_id})).code == 0
        assert (await rig.update(0, B, group_id)).code == 1002


@pytest.mark.parametrize("cap", [3, 1000])
async def test_numbers_per_call(cap: int) -> None:
    """As many numbers as the cap go through, one more is 1002 and changes nothing."""
    async with Rig() if cap == 1000 else Rig(numbers_per_call=cap) as rig:
        numbers = [str(85200000000 + n) for n in range(cap + 1)]
        assert (await rig.update(0, ",".join(numbers[:-1]))).code == 0
        assert (await rig.update(2, ",".join(numbers))).code == 1002
        assert (await rig.call("createGroup", {"phones": ",".join(numbers)})).code == 1002
        assert await rig.members() == numbers[:-1]


async def test_paging() -> None:
    """Pages follow the order of creation; `total` is of all groups; beyond the end is an empty page."""
    async with Rig() as rig:
        made = [(await rig.call("createGroup", {"phones": A})).json["groupId"] for _ in range(5)]
        seen = []
        for offset in (0, 2, 4, 6):
            data = (await rig.call("listGroup", {"limit": 2, "offset": offset})).json["data"]
            assert data["total"] == 5
            seen.append([group["groupId"] for group in data["groups"]])
        assert seen == [made[0:2], made[2:4], made[4:], []]


async def test_at_most_a_thousand_a_page() -> None:
    """`limit` 0 means all, but no more than 1,000 (vendor page "Query Number Groups")."""
    async with Rig() as rig:
        seeds = [{"groupId": f"g{n}", "phones": [A]} for n in range(1001)]
        await rig.control("POST", "/_sandbox/groups", seeds)
        for limit in (0, 1000):
            data = (await rig.call("listGroup", {"limit": limit, "offset": 0})).json["data"]
            assert (len(data["groups"]), data["total"]) == (1000, 1001)
        rest = (await rig.call("listGroup", {"limit": 0, "offset": 1000})).json["data"]["groups"]
        assert [group["groupId"] for group in rest] == ["g1000"]


async def test_customers_are_apart() -> None:
    """A customer neither lists, nor changes, nor deletes another's groups, even under the same id."""
    async with Rig(**TWO_CUSTOMERS) as rig:
        await rig.update(0, A)
        assert (await rig.call("listGroup", {"limit": 0, "offset": 0}, **OTHER)).json["data"]["total"] == 0
        await rig.update(0, B, **OTHER)
        await rig.call("deleteGroup", {"groupId": GROUP}, **OTHER)
        assert await rig.members() == [A]
        await rig.update(2, C, **OTHER)
        shown = (await rig.control("GET", "/_sandbox/groups")).json
        assert shown["total"] == 2
        assert [(g["accessKey"], g["customerId"], g["phones"]) for g in shown["groups"]] == [
            (KEY, "cus_1", [A]),
            ("other", "cus_2", [C]),
        ]


async def test_one_customers_secret_is_not_anothers() -> None:
    """A call under one key signed with another's secret is 1003."""
    async with Rig(**TWO_CUSTOMERS) as rig:
        assert (await rig.update(0, A, key="other")).code == 1003
