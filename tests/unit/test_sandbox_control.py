"""The control endpoints, the log of calls, and the cap on calls a second."""

from typing import Any

import pytest
from test_sandbox_rig import GROUP, KEY, A, B, C, Rig

from numbergroup.sandbox.call_log import CallLog, LoggedCall


async def test_help_names_every_endpoint() -> None:
    """`GET /` is plain text that names the endpoints and the kinds of faults."""
    async with Rig() as rig:
        reply = await rig.control("GET", "/")
        assert reply.headers["Content-Type"].startswith("text/plain")
        text = reply.body.decode()
        for word in (
            "/_sandbox/groups",
            "/_sandbox/calls",
            "/_sandbox/faults/{id}",
            "/_sandbox/credentials",
            "/_sandbox/reset",
            "lost",
        ):
            assert word in text


async def test_seed_and_show_groups() -> None:
    """A seeded group is shown as it was given, replaces one of the same id, and is the API's to change."""
    async with Rig() as rig:
        first = {"groupId": GROUP, "phones": [B, A], "groupName": "g", "remark": "r"}
        await rig.control("POST", "/_sandbox/groups", {"groupId": GROUP, "phones": [C]})
        await rig.control("POST", "/_sandbox/groups", [first, {"groupId": "empty", "phones": []}])
        assert (await rig.control("GET", "/_sandbox/groups")).json == {
            "groups": [
                {"accessKey": KEY, "customerId": "cus_1", **first},
                {
                    "accessKey": KEY,
                    "customerId": "cus_1",
                    "groupId": "empty",
                    "groupName": "empty",
                    "remark": "",
                    "phones": [],
                },
            ],
            "total": 2,
            "late": 0,
        }
        await rig.update(1, B)
        assert await rig.members() == [A]


async def test_groups_of_one_customer() -> None:
    """With several customers a seed must name whose it is, and `?accessKey=` shows one customer's groups."""
    async with Rig(credentials={"k1": "s1", "k2": "s2"}) as rig:
        seed = {"groupId": GROUP, "phones": [A]}
        refused = await rig.control("POST", "/_sandbox/groups", seed)
        assert (refused.status, refused.json) == (400, {"error": "accessKey: name one of k1, k2"})
        for key in ("k1", "k2"):
            assert (await rig.control("POST", "/_sandbox/groups", {**seed, "accessKey": key})).status == 200
        shown = (await rig.control("GET", "/_sandbox/groups?accessKey=k2")).json
        assert [(group["accessKey"], group["customerId"]) for group in shown["groups"]] == [("k2", "cus_2")]


@pytest.mark.parametrize(
    ("method", "path", "body", "why"),
    [
        ("POST", "groups", b"{", "not JSON"),
        ("POST", "groups", b"", "not JSON"),
        ("POST", "groups", 7, "groups[0]"),
        ("POST", "groups", {"phones": [A]}, "groups[0].groupId: Field required"),
        ("POST", "groups", {"groupId": "a b", "phones": [A]}, "groupId"),
        ("POST", "groups", {"groupId": "g"}, "groups[0].phones: Field required"),
        ("POST", "groups", {"groupId": "g", "phones": A}, "groups[0].phones"),
        (
            "POST",
            "groups",
            [{"groupId": "g", "phones": []}, {"groupId": "h", "phones": ["+1"]}],
            "[1].phones[0]",
        ),
        ("POST", "groups", {"groupId": "g", "phones": [], "name": "x"}, "groups[0].name: Extra"),
        ("POST", "groups", {"groupId": "g", "phones": [], "accessKey": "k"}, "must be one of sandbox-key"),
        ("GET", "groups?accessKey=k", None, "must be one of sandbox-key"),
        ("GET", "groups?limit=1", None, "limit: unknown parameter"),
        ("GET", "calls?limit=-1", None, "limit: must be"),
        ("GET", "calls?limit=", None, "limit: must be"),
        ("GET", "calls?since=now", None, "since: must be"),
        ("GET", "calls?since=%D9%A3", None, "since: must be"),
        ("GET", "calls?before=1", None, "before: unknown parameter"),
        ("POST", "faults", b"nonsense", "not JSON"),
        ("DELETE", "faults/one", None, "id: must be"),
    ],
)
async def test_bad_input(method: str, path: str, body: Any, why: str) -> None:
    """Bad input to a control endpoint is 400 with JSON that says what is wrong, and changes nothing."""
    async with Rig() as rig:
        reply = await rig.control(method, f"/_sandbox/{path}", body)
        assert reply.status == 400
        assert why in reply.json["error"]
        assert (await rig.control("GET", "/_sandbox/groups")).json["total"] == 0


@pytest.mark.parametrize(
    "path", ["/_sandbox", "/_sandbox/nothing", "/_sandbox/%ff%00", "/_sandbox/faults/77"]
)
async def test_what_is_not_there(path: str) -> None:
    """A control path that does not exist is 404 with JSON, never a call of the API."""
    async with Rig() as rig:
        for method in ("DELETE", "POST"):
            reply = await rig.control(method, path)
            assert reply.status == 404
            assert reply.json["error"]
        assert (await rig.control("GET", "/_sandbox/calls")).json["total"] == 0


async def test_call_log() -> None:
    """Every call is logged in order of arrival with what it said and what it got, refused ones included."""
    async with Rig() as rig:
        created = (await rig.call("createGroup", {"phones": f"{A},{B}"})).json
        rig.now_ms += 10
        refused = (await rig.update(3, A)).json
        logged = (await rig.control("GET", "/_sandbox/calls")).json
        assert logged["calls"] == [
            {
                "at_ms": rig.now_ms - 10,
                "accessKey": KEY,
                "action": "createGroup",
                "groupId": created["groupId"],
                "operateType": None,
                "phones": [A, B],
                "requestId": created["requestId"],
                "code": 0,
                "http": 200,
                "applied": True,
                "fault": None,
            },
            {
                "at_ms": rig.now_ms,
                "accessKey": KEY,
                "action": "updateGroup",
                "groupId": GROUP,
                "operateType": 3,
                "phones": [A],
                "requestId": refused["requestId"],
                "code": 1002,
                "http": 200,
                "applied": False,
                "fault": None,
            },
        ]
        assert (logged["total"], logged["by_action"]) == (2, {"createGroup": 1, "updateGroup": 1})


async def test_call_log_slices_and_clears() -> None:
    """`limit` takes the newest, `since` those from then on; totals stay those of all; DELETE begins anew."""
    async with Rig() as rig:
        started_ms = rig.now_ms
        for n in range(4):
            rig.now_ms = started_ms + 1000 * n
            await rig.update(0, A, f"g{n}")
        await rig.call("renameGroup", {})

        async def groups(query: str) -> list[str]:
            reply = (await rig.control("GET", f"/_sandbox/calls?{query}")).json
            assert reply["total"] == 5
            assert reply["by_action"] == {"updateGroup": 4, "unknown": 1}
            return [call["groupId"] for call in reply["calls"] if call["action"] == "updateGroup"]

        assert await groups("limit=3") == ["g2", "g3"]
        assert await groups("limit=0") == []
        assert await groups(f"since={started_ms + 2000}") == ["g2", "g3"]
        assert await groups(f"since={started_ms}&limit=2") == ["g3"]
        await rig.control("DELETE", "/_sandbox/calls")
        empty = (await rig.control("GET", "/_sandbox/calls")).json
        assert empty == {"calls": [], "total": 0, "by_action": {}, "per_second_max": 0}


def test_call_log_is_bounded() -> None:
    """The log keeps the last calls only, fewer when they name many numbers; the totals stay exact."""
    log = CallLog(max_calls=3, max_phone_characters=25)
    for n in range(10):
        log.record(LoggedCall(n, "k", "updateGroup", phones="1" * 10), "updateGroup")
    assert [call.at_ms for call in log.recent()] == [8, 9]
    for n in range(10, 15):
        log.record(LoggedCall(n, "k", "listGroup"), "listGroup")
    assert [call.at_ms for call in log.recent()] == [12, 13, 14]
    assert (log.total, dict(log.by_action)) == (15, {"updateGroup": 10, "listGroup": 5})


async def test_per_second_max() -> None:
    """It is the largest number of calls in any sliding second, not in any second of the clock."""
    async with Rig() as rig:
        for step_ms in (600, 300, 300, 399, 1, 5000, 0):
            rig.now_ms += step_ms
            await rig.update(0, A)
        assert (await rig.control("GET", "/_sandbox/calls")).json["per_second_max"] == 4


async def test_calls_per_second() -> None:
    """Calls above the cap in any sliding second, of all customers together, are 429 with `Retry-After: 1`."""
    async with Rig(credentials={KEY: "sandbox-secret", "k2": "s2"}, calls_per_second=2) as rig:
        assert (await rig.update(0, A)).status == 200
        rig.now_ms += 500
        assert (await rig.update(0, A, key="k2", secret="s2")).status == 200
        reply = await rig.update(0, B)
        assert (reply.status, reply.headers["Retry-After"]) == (429, "1")
        assert (await rig.last_call())["fault"] == "calls_per_second"
        rig.now_ms += 499
        assert (await rig.update(0, B)).status == 429
        rig.now_ms += 1
        assert (await rig.update(0, C)).status == 200
        assert (await rig.update(0, C)).status == 429
        assert await rig.members() == [A, C]
        assert (await rig.control("GET", "/_sandbox/calls")).json["per_second_max"] == 5


async def test_a_clock_that_steps_back_frees_nothing() -> None:
    """The cap holds when the vendor's clock steps back."""
    async with Rig(calls_per_second=1) as rig:
        await rig.update(0, A)
        rig.now_ms -= 3_600_000
        assert (await rig.update(0, A)).status == 429


async def test_fault_endpoints() -> None:
    """Adding answers the faults with ids; they are listed with how often they fired, and removed by id."""
    async with Rig() as rig:
        added = await rig.control(
            "POST",
            "/_sandbox/faults",
            [{"kind": "drop", "groupId": "x", "times": 2}, {"kind": "refuse_numbers", "numbers": [C]}],
        )
        common: dict[str, Any] = {"probability": 1.0, "fired": 0}
        drop = {"id": 1, "kind": "drop", "groupId": "x", "times": 2, **common}
        refuse = {"id": 2, "kind": "refuse_numbers", "numbers": [C], **common}
        assert added.json == {"faults": [drop, refuse]}
        await rig.update(0, C)
        shown = (await rig.control("GET", "/_sandbox/faults")).json["faults"]
        assert shown == [drop, {**refuse, "fired": 1}]
        assert (await rig.control("DELETE", "/_sandbox/faults/2")).status == 200
        assert (await rig.control("DELETE", "/_sandbox/faults/2")).status == 404
        assert (await rig.update(0, C)).code == 0
        await rig.control("DELETE", "/_sandbox/faults")
        assert (await rig.control("GET", "/_sandbox/faults")).json == {"faults": []}
        assert await rig.fault(kind="drop") == 3


async def test_reset() -> None:
    """After a reset there are no groups, calls or faults, the cap is free, the secrets are the first ones."""
    async with Rig(calls_per_second=1) as rig:
        await rig.fault(kind="latency", ms=0)
        await rig.update(0, A)
        rig.sandbox.state.rotate(KEY, "new")
        assert (await rig.control("POST", "/_sandbox/reset")).status == 200
        assert (await rig.control("GET", "/_sandbox/groups")).json["total"] == 0
        assert (await rig.control("GET", "/_sandbox/calls")).json["total"] == 0
        assert await rig.fired() == []
        assert (await rig.update(0, A)).code == 0
