"""Faults on demand: what each kind does to a call, and which calls it meets."""

from typing import Any

import aiohttp
import orjson
import pytest
from test_sandbox_rig import GROUP, A, B, C, Rig


async def test_latency() -> None:
    """Every call waits the base latency, a fault's `ms` and up to its `jitter_ms` more, and then succeeds."""
    async with Rig(latency_ms=20) as rig:
        await rig.update(0, A)
        assert (await rig.last_call())["fault"] is None
        await rig.fault(kind="latency", ms=300)
        await rig.fault(kind="latency", ms=1000, jitter_ms=500)
        for _ in range(20):
            assert (await rig.update(0, A)).code == 0
        assert (await rig.last_call())["fault"] == "latency"
        assert rig.slept_s[0] == 0.02
        assert all(1.32 <= slept <= 1.82 for slept in rig.slept_s[1:])
        assert len(set(rig.slept_s[1:])) > 1
        assert await rig.fired() == [20, 20]


async def test_a_call_that_waits_too_long_has_expired() -> None:
    """A call that waited beyond the life of its time stamp is 1004 and not applied."""
    async with Rig() as rig:
        await rig.fault(kind="latency", ms=60_001)
        assert (await rig.update(0, A)).code == 1004
        assert await rig.members() is None


@pytest.mark.parametrize("status", [500, 502, 503, 504, 418, 599])
async def test_status(status: int) -> None:
    """The HTTP status asked for, with a gateway's page, nothing applied."""
    async with Rig() as rig:
        await rig.fault(kind="status", status=status)
        reply = await rig.update(0, A)
        assert reply.status == status
        assert reply.headers["Content-Type"] == "text/html"
        assert str(status).encode() in reply.body
        assert await rig.members() is None
        logged = await rig.last_call()
        assert (logged["http"], logged["code"], logged["applied"]) == (status, None, False)
        assert logged["fault"] == "status"


async def test_status_with_a_raw_body_after_applying() -> None:
    """`applied` makes the change first; `body` is answered as it stands."""
    async with Rig() as rig:
        await rig.fault(kind="status", status=500, body='{"code":0}', content_type="text/plain", applied=True)
        reply = await rig.update(0, A)
        assert (reply.status, reply.body, reply.headers["Content-Type"]) == (500, b'{"code":0}', "text/plain")
        assert await rig.members() == [A]
        assert (await rig.last_call())["applied"] is True


async def test_status_without_content() -> None:
    """204 has no body, and the connection goes on being usable."""
    async with Rig() as rig:
        await rig.fault(kind="status", status=204, body="x", times=1)
        assert (await rig.update(0, A)).body == b""
        assert (await rig.update(0, A)).code == 0


@pytest.mark.parametrize("value", ["5", "-1", "Wed, 21 Oct 2099 07:28:00 GMT", "9" * 400, "soon", ""])
async def test_throttle(value: str) -> None:
    """429 with `Retry-After` as it stands, nothing applied."""
    async with Rig() as rig:
        await rig.fault(kind="throttle", retry_after=value)
        reply = await rig.update(0, A)
        assert (reply.status, reply.headers["Retry-After"]) == (429, value)
        assert await rig.members() is None


async def test_throttle_without_the_header() -> None:
    """With `retry_after` null, 429 comes without the header."""
    async with Rig() as rig:
        await rig.fault(kind="throttle", retry_after=None)
        reply = await rig.update(0, A)
        assert reply.status == 429
        assert "Retry-After" not in reply.headers


async def test_throttle_in_the_body() -> None:
    """With `body`, HTTP 200 and a code, and `msg` speaks of the rate limit; the text can be chosen."""
    async with Rig() as rig:
        await rig.fault(kind="throttle", body=True, times=1)
        await rig.fault(kind="throttle", body=True, code=1234, msg="Max limit exceeded")
        first, second = await rig.update(0, A), await rig.update(0, A)
        assert (first.status, first.code) == (200, 9999)
        assert "rate limit" in first.json["msg"]
        assert "Retry-After" not in first.headers
        assert (second.code, second.json["msg"]) == (1234, "Max limit exceeded")
        assert await rig.members() is None


@pytest.mark.parametrize(("kind", "members"), [("lost", [A]), ("drop", None)])
async def test_no_answer(kind: str, members: list[str] | None) -> None:
    """`lost` applies and `drop` does not; both end the connection without a byte."""
    async with Rig() as rig:
        await rig.fault(kind=kind, times=1)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await rig.update(0, A)
        assert await rig.members() == members
        logged = await rig.last_call()
        assert (logged["http"], logged["code"], logged["applied"]) == (None, None, members is not None)
        assert (await rig.update(0, A)).code == 0


async def test_lost_create_is_logged_with_its_group() -> None:
    """The log tells the id of a group whose creation was never answered."""
    async with Rig() as rig:
        await rig.fault(kind="lost")
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await rig.call("createGroup", {"phones": A})
        assert await rig.members((await rig.last_call())["groupId"]) == [A]


async def test_late() -> None:
    """The connection ends at once; the change is made after `delay_ms`, over what was done meanwhile."""
    async with Rig() as rig:
        await rig.fault(kind="late", delay_ms=5000, times=1)
        rig.gate.clear()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await rig.update(2, A)
        await rig.update(2, B)
        shown = (await rig.control("GET", "/_sandbox/groups")).json
        assert (shown["late"], shown["groups"][0]["phones"]) == (1, [B])
        rig.gate.set()
        await rig.sandbox.drain()
        assert rig.slept_s == [5.0]
        assert await rig.members() == [A]
        calls = (await rig.control("GET", "/_sandbox/calls")).json["calls"]
        assert [(call["fault"], call["applied"]) for call in calls] == [("late", True), (None, True)]


async def test_too_late() -> None:
    """A late call whose time stamp has expired on the way is not applied."""
    async with Rig() as rig:
        await rig.fault(kind="late", delay_ms=60_001)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await rig.update(0, A)
        await rig.sandbox.drain()
        assert await rig.members() is None


async def test_late_after_a_reset_touches_nothing() -> None:
    """A reset is the end also for calls still on their way."""
    async with Rig() as rig:
        await rig.fault(kind="late", delay_ms=1000)
        rig.gate.clear()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await rig.update(0, A)
        await rig.control("POST", "/_sandbox/reset")
        rig.gate.set()
        await rig.sandbox.drain()
        assert await rig.members() is None


async def test_refuse_numbers() -> None:
    """A create, add or replace that names a refused number is 1002; deleting it goes through."""
    async with Rig() as rig:
        await rig.update(0, B)
        await rig.fault(kind="refuse_numbers", numbers=[B, C])
        for reply in (
            await rig.update(0, f"{A},{B}"),
            await rig.update(2, C),
            await rig.call("createGroup", {"phones": f"{A},{C}"}),
        ):
            assert (reply.status, reply.code) == (200, 1002)
        assert await rig.members() == [B]
        assert (await rig.update(1, f"{B},{C}")).code == 0
        assert (await rig.update(0, A)).code == 0
        assert await rig.members() == [A]
        assert await rig.fired() == [3]


async def test_refuse_numbers_leaves_wrong_calls_alone() -> None:
    """A call that is wrong in itself keeps its own code, and the fault has not fired."""
    async with Rig() as rig:
        await rig.fault(kind="refuse_numbers", numbers=[A])
        assert (await rig.update(0, A, secret="wrong")).code == 1003
        assert await rig.fired() == [0]


@pytest.mark.parametrize(
    ("code", "msg"),
    [(1003, "invalid signature"), (1005, "accessKey"), (10009, "retrieve"), (9999, "unknown")],
)
async def test_code(code: int, msg: str) -> None:
    """Any of the vendor's codes with its text, HTTP 200, nothing applied."""
    async with Rig() as rig:
        await rig.fault(kind="code", code=code)
        reply = await rig.update(0, A)
        assert (reply.status, reply.code) == (200, code)
        assert msg in reply.json["msg"]
        assert list(reply.json) == ["code", "msg", "requestId"]
        assert await rig.members() is None
        assert (await rig.last_call())["code"] == code


async def test_code_with_a_message_of_ones_own() -> None:
    """`msg` takes the place of the vendor's text."""
    async with Rig() as rig:
        await rig.fault(kind="code", code=-7, msg="your secret is s3cret")
        assert (await rig.update(0, A)).json["msg"] == "your secret is s3cret"


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("form", ["html", "truncated"])
async def test_garbage(form: str, applied: bool) -> None:
    """HTTP 200 with a body that is no JSON; applied before or not at all, as asked."""
    async with Rig() as rig:
        await rig.fault(kind="garbage", form=form, applied=applied)
        reply = await rig.update(0, A)
        assert reply.status == 200
        with pytest.raises(orjson.JSONDecodeError):
            _ = reply.json
        assert reply.body.startswith(b"<html>" if form == "html" else b'{"code":0')
        assert await rig.members() == ([A] if applied else None)


async def test_garbage_cut() -> None:
    """Fewer bytes than announced, then the connection ends."""
    async with Rig() as rig:
        await rig.fault(kind="garbage", form="cut", applied=True)
        with pytest.raises(aiohttp.ClientPayloadError):
            await rig.update(0, A)
        assert await rig.members() == [A]


async def test_garbage_drip() -> None:
    """A body without end, a byte every `interval_ms`; it stops when the client leaves."""
    async with Rig() as rig:
        await rig.fault(kind="garbage", form="drip", interval_ms=250, times=1)
        async with rig.opened("updateGroup", {"groupId": GROUP, "operateType": 0, "phones": A}) as response:
            assert response.status == 200
            assert (await response.content.readexactly(100)).startswith(b'{"code":0,"msg":"...')
            response.close()
        assert set(rig.slept_s) == {0.25}
        assert (await rig.update(0, A)).code == 0


async def test_redirect() -> None:
    """302 to another host, nothing applied."""
    async with Rig() as rig:
        await rig.fault(kind="redirect", times=1)
        await rig.fault(kind="redirect", location="http://127.0.0.2:1/steal")
        first, second = await rig.update(0, A), await rig.update(0, A)
        assert (first.status, second.status) == (302, 302)
        assert first.headers["Location"] == "http://elsewhere.invalid/api/pns/"
        assert second.headers["Location"] == "http://127.0.0.2:1/steal"
        assert await rig.members() is None


async def test_code_as_string() -> None:
    """`code` comes as a string, of success and of refusal alike; the change is made as ever."""
    async with Rig() as rig:
        await rig.fault(kind="code_as_string")
        await rig.fault(kind="code", code=10009, action="deleteGroup")
        assert (await rig.update(0, A)).code == "0"
        assert (await rig.update(0, "")).code == "1002"
        assert (await rig.call("deleteGroup", {"groupId": GROUP})).code == "10009"
        assert await rig.members() == [A]
        assert (await rig.last_call())["fault"] == "code"


async def test_filters() -> None:
    """A fault meets only the action and the group that it names; one with both needs both."""
    async with Rig() as rig:
        await rig.fault(kind="code", code=10009, action="updateGroup", groupId="g1")
        await rig.fault(kind="code", code=10003, groupId="g2")
        await rig.fault(kind="code", code=10004, action="listGroup")
        assert (await rig.update(0, A, "g1")).code == 10009
        assert (await rig.call("deleteGroup", {"groupId": "g1"})).code == 0
        assert (await rig.call("deleteGroup", {"groupId": "g2"})).code == 10003
        assert (await rig.call("listGroup", {"limit": 1, "offset": 0})).code == 10004
        assert (await rig.call("createGroup", {"phones": A})).code == 0
        assert (await rig.update(0, A, "g3")).code == 0
        assert await rig.fired() == [1, 1, 1]


async def test_times() -> None:
    """A fault fires as often as it may, and then the next in order has its turn; it stays listed."""
    async with Rig() as rig:
        await rig.fault(kind="code", code=10009, times=2)
        await rig.fault(kind="code", code=10003, times=1)
        assert [(await rig.update(0, A)).code for _ in range(4)] == [10009, 10009, 10003, 0]
        assert await rig.fired() == [2, 1]


async def test_probability_follows_the_seed() -> None:
    """A probability is met about so often, the same calls every time for the same seed; 0 never fires."""
    runs = []
    for seed in (7, 7, 8):
        async with Rig(seed=seed) as rig:
            await rig.fault(kind="code", code=10003, probability=0)
            await rig.fault(kind="code", code=10009, probability=0.3)
            runs.append([(await rig.update(0, A)).code for _ in range(200)])
            assert await rig.fired() == [0, runs[-1].count(10009)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert 40 <= runs[0].count(10009) <= 80


async def test_a_wrong_call_is_never_applied() -> None:
    """What would apply a call before failing it does not apply one that is refused."""
    async with Rig() as rig:
        await rig.fault(kind="status", status=500, applied=True)
        assert (await rig.update(0, A, secret="wrong")).status == 500
        assert await rig.members() is None
        assert (await rig.last_call())["applied"] is False


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({}, "kind"),
        ({"kind": "explode"}, "latency"),
        (7, "fault: "),
        ({"kind": "status"}, "fault.status: Field required"),
        ({"kind": "status", "status": 99}, "fault.status: "),
        ({"kind": "status", "status": "503"}, "fault.status: "),
        ({"kind": "status", "status": True}, "fault.status: "),
        ({"kind": "status", "status": 503, "body": {}}, "fault.body: "),
        ({"kind": "drop", "applied": True}, "fault.applied: Extra"),
        ({"kind": "drop", "probability": 1.1}, "fault.probability: "),
        ({"kind": "drop", "probability": "1"}, "fault.probability: "),
        ({"kind": "drop", "times": 0}, "fault.times: "),
        ({"kind": "drop", "action": "renameGroup"}, "fault.action: "),
        ({"kind": "drop", "groupId": 7}, "fault.groupId: "),
        ({"kind": "latency", "ms": -1}, "fault.ms: "),
        ({"kind": "late"}, "fault.delay_ms: "),
        ({"kind": "throttle", "retry_after": 5}, "fault.retry_after: "),
        ({"kind": "throttle", "retry_after": "5\r\nX: y"}, "fault.retry_after: "),
        ({"kind": "redirect", "location": "http://x/\n"}, "fault.location: "),
        ({"kind": "refuse_numbers", "numbers": []}, "fault.numbers: "),
        ({"kind": "refuse_numbers", "numbers": ["+852"]}, "fault.numbers.0: "),
        ({"kind": "refuse_numbers", "numbers": [852]}, "fault.numbers.0: "),
        ({"kind": "refuse_numbers", "numbers": "852"}, "fault.numbers: "),
        ({"kind": "code", "code": 0}, "0 is success"),
        ({"kind": "garbage", "form": "poetry"}, "fault.form: "),
        ([{"kind": "drop"}, {"kind": "late"}], "faults[1].delay_ms: "),
    ],
)
async def test_faults_are_read_strictly(fault: Any, why: str) -> None:
    """A wrong fault is 400 and the answer says where and why; none of its array is put in place."""
    async with Rig() as rig:
        reply = await rig.control("POST", "/_sandbox/faults", fault)
        assert reply.status == 400
        assert why in reply.json["error"]
        assert await rig.fired() == []
