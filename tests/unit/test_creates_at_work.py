"""A worker whose vendor applies creates and answers with a failure: one group, and an honest answer."""

from typing import Any

import orjson
import pytest
from whole_worker import event, results_of

from numbergroup.sandbox.faults import Status, Throttle
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import start

NUMBER = "85211111114"
KEYS = {
    "nxcloud": {"ACCESS_KEY": "sandbox-key", "ACCESS_SECRET": "sandbox-secret", "SIGNATURE_LASTS_S": "0.1"},
    "ozonetel": {"USERNAME": "sandbox", "API_KEY": "sandbox-api-key", "REQUEST_LASTS_S": "0.1"},
}


def said(code: Any, msg: str = "Internal Server Error") -> str:
    return orjson.dumps({"code": code, "msg": msg}).decode()


async def created(
    vendor: str, count: int, faults: list[Any], **settings: str
) -> tuple[list[dict[str, Any]], list[str], int]:
    """What so many creates are answered while these faults are in place, the names of the groups that there
    are then, and how many creates were sent."""
    sandbox = await start(Options(), port=0)
    try:
        sandbox.state.faults.add(faults)
        url = sandbox.url if vendor == "nxcloud" else sandbox.url.removesuffix("/api/pns/")
        keys = {**KEYS[vendor], "PROVIDER": vendor, "BASE_URL": url, "CALLS_PER_SECOND": "100", **settings}
        environ = {f"NUMBERGROUP_ACCOUNTS__DEFAULT__{key}": value for key, value in keys.items()}
        names = [f"shift {n}" for n in range(count)]
        commands = [event(name, "create", groupName=name, phones=[NUMBER]) for name in names]
        found = await results_of(environ, commands)
        creates = [one for one in sandbox.state.calls.recent() if one.action.startswith("create")]
        groups = [*sandbox.state.groups.each(), *sandbox.state.ozonetel.groups.each(0)]
        return [*found.values()], sorted(group.name for _, group in groups), len(creates)
    finally:
        await sandbox.stop()


APPLIED = [
    (500, said(500)),
    (200, said(10009, "failed to retrieve data")),
    (200, said(777, "what nobody knows")),
    (503, said(503, "Service Unavailable")),
    (409, said("CONFLICT", "conflict")),
    (200, "<br /><b>Notice</b>: x" + said(0)),
    (408, ""),
    (200, said(777, "系统繁忙")),
]

unknown_codes = pytest.mark.parametrize(
    "unknown", ["refused", pytest.param("retryable", marks=pytest.mark.slow)]
)


@unknown_codes
async def test_one_group_for_one_create(unknown: str) -> None:
    """Whatever a create is answered that was carried out, its group is found, and its command is told that it
    was applied. What was not carried out is made when the list proves that it was not."""
    faults = [
        Status(status=status, body=body, applied=True, action="createGroup", times=1)
        for status, body in APPLIED
    ]
    absent = Status(status=500, body=said(500), action="createGroup", times=1)
    count = len(APPLIED) + 1
    results, groups, creates = await created("nxcloud", count, [*faults, absent], UNKNOWN_CODES=unknown)
    assert [one["status"] for one in results] == ["applied"] * count
    assert groups == [f"shift {n}" for n in range(count)]
    assert creates == count + 1


@unknown_codes
async def test_where_nothing_can_be_looked_up(unknown: str) -> None:
    """Ozonetel lists no groups: a create in doubt is not sent again, and its command is told what may have
    happened. A 503 counts as not passed on; if it was, the second create finds the group there, and that is
    no plain rejection either. To be throttled, in whatever words, is nobody's failure."""
    body = '{"status":"error","message":"Something went wrong"}'
    faults = [
        Status(status=status, body=body, applied=True, action="createBlockNumber", times=1)
        for status in (500, 200, 503)
    ]
    throttled = Throttle(body=True, msg="QPS limit exceeded", times=1)
    results, groups, creates = await created("ozonetel", 4, [*faults, throttled], UNKNOWN_CODES=unknown)
    failed = [one["error"] for one in results if one["status"] == "failed"]
    assert sorted(one["status"] for one in results) == ["applied", "failed", "failed", "failed"]
    assert {one["kind"] for one in failed} == {"unavailable"}
    assert all("the group may have been made" in one["message"] for one in failed)
    assert sum("already exists" in one["message"] for one in failed) == 1
    assert (groups, creates) == ([f"shift {n}" for n in range(4)], 6)
