"""Faults on demand on Ozonetel's calls: those of both vendors, and its own."""

from typing import Any

import aiohttp
import orjson
import pytest
from ozonetel_rig import (
    AUTHENTICATION_FAILED,
    INVALID_NUMBERS,
    MODES,
    NAME,
    SPELT,
    A,
    B,
    C,
    Ozonetel,
)
from test_sandbox_rig import GROUP

in_every_mode = pytest.mark.parametrize("mode", MODES)


@in_every_mode
@pytest.mark.parametrize("written", [A, "91" + A])
async def test_reject_numbers(mode: str, written: str) -> None:
    """They land in `output.error` under a success, in a create, an add and a delete; the others are taken."""
    async with Ozonetel(mode) as rig:
        await rig.fault(kind="reject_numbers", numbers=[written])
        group = await rig.created(A, B)
        assert await rig.phones() == [B]
        added = (await rig.add(group, C, A)).json
        assert (added["status"], added["message"]) == ("success", "updated")
        assert added["output"] == {"succes": [C], "error": [SPELT[A]], "new": 1, "inserted": 1}
        deleted = (await rig.delete(group, A, B)).json
        assert deleted["output"] == {"success": [SPELT[B]], "error": [SPELT[A]], "deleted": 1}
        assert await rig.phones() == [C]
        logged = await rig.last_call()
        assert (logged["rejected"], logged["applied"], logged["fault"]) == ([A], True, "reject_numbers")
        assert (await rig.add(group, B)).json["output"]["error"] == []
        assert await rig.fired() == [3]


async def test_numbers_rejected_by_several_faults() -> None:
    """Each of them counts the calls that it met."""
    async with Ozonetel() as rig:
        await rig.fault(kind="reject_numbers", numbers=[A], times=1)
        await rig.fault(kind="reject_numbers", numbers=[B])
        assert (await rig.create(A, B, C)).json["output"]["error"] == [SPELT[A], SPELT[B]]
        assert (await rig.add(NAME, A, B)).json["output"]["error"] == [SPELT[B]]
        assert await rig.fired() == [1, 2]


@in_every_mode
async def test_refuse_numbers(mode: str) -> None:
    """A create or an add of such a number is refused as a whole in the page's words; a delete is not."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A, B)
        await rig.fault(kind="refuse_numbers", numbers=["91" + A])
        for reply in (await rig.create(A, C, name="other"), await rig.add(group, C, A)):
            assert (reply.status, reply.json) == (200, INVALID_NUMBERS)
        assert (await rig.delete(group, A)).json["message"] == "deleted"
        assert await rig.phones() == [B]


@in_every_mode
@pytest.mark.parametrize("http", [200, 401])
async def test_authentication_failed(mode: str, http: int) -> None:
    """The page's words with the HTTP status asked for, and nothing is changed."""
    async with Ozonetel(mode) as rig:
        await rig.fault(kind="authentication_failed", http=http, times=1)
        reply = await rig.create(A)
        assert (reply.status, reply.json) == (http, AUTHENTICATION_FAILED)
        assert await rig.phones() is None
        assert (await rig.create(A)).json["status"] == "success"


@pytest.mark.parametrize("status", ["error", "fail", "false"])
async def test_error(status: str) -> None:
    """Any error in the vendor's form, with its `status` in all the ways that it has been seen in."""
    async with Ozonetel() as rig:
        await rig.fault(kind="error", message="Try later", status=status, errors={"name": "no"}, http=401)
        reply = await rig.create(A)
        assert reply.status == 401
        assert reply.json == {"status": status, "message": "Try later", "errors": {"name": "no"}}
        assert await rig.phones() is None


async def test_kill_token() -> None:
    """The token that a call bears is dead, for that call and for all others; a new one is good."""
    async with Ozonetel("token") as rig:
        await rig.fault(kind="kill_token", times=1)
        reply = await rig.create(A)
        assert (reply.status, reply.json) == (401, AUTHENTICATION_FAILED)
        assert (await rig.last_call())["fault"] == "kill_token"
        assert (await rig.create(A)).json == AUTHENTICATION_FAILED
        rig.token = (await rig.make_token()).json["token"]
        assert (await rig.create(A)).json["status"] == "success"
        assert await rig.fired() == [1]


@pytest.mark.parametrize("mode", ["legacy", "basic"])
async def test_kill_token_without_one(mode: str) -> None:
    """Calls that bear none do not meet it."""
    async with Ozonetel(mode) as rig:
        await rig.fault(kind="kill_token")
        assert (await rig.create(A)).json["status"] == "success"
        assert "token" in (await rig.make_token()).json
        assert await rig.fired() == [0]


@in_every_mode
async def test_throttle(mode: str) -> None:
    """429 with `Retry-After`, or HTTP 200 with `body`; the words are the vendor's, or those asked for."""
    async with Ozonetel(mode) as rig:
        said = {"status": "error", "message": "Max limit exceeded"}
        await rig.fault(kind="throttle", retry_after="7", times=1)
        await rig.fault(kind="throttle", body=True, times=1)
        await rig.fault(kind="throttle", body=True, msg="slow down", times=1)
        first = await rig.create(A)
        assert (first.status, first.headers["Retry-After"], first.json) == (429, "7", said)
        second = await rig.create(A)
        assert (second.status, second.json) == (200, said)
        assert (await rig.create(A)).json["message"] == "slow down"
        assert await rig.phones() is None


async def test_calls_per_second() -> None:
    """The cap holds for each vendor by itself."""
    async with Ozonetel(calls_per_second=1) as rig:
        assert (await rig.create(A)).status == 200
        assert (await rig.update(0, C)).status == 200
        reply = await rig.create(B)
        assert (reply.status, reply.json["message"]) == (429, "Max limit exceeded")
        rig.now_ms += 1000
        assert (await rig.add(NAME, B)).status == 200


@in_every_mode
async def test_lost_and_drop(mode: str) -> None:
    """Neither is answered; a lost call took effect, a dropped one did not."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A)
        await rig.fault(kind="lost", times=1)
        await rig.fault(kind="drop", times=1)
        for number in (B, C):
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await rig.add(group, number)
        assert await rig.phones() == [A, B]


async def test_a_lost_token_is_made() -> None:
    """It has killed the one before it all the same."""
    async with Ozonetel("token") as rig:
        await rig.fault(kind="lost", action="generateToken")
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await rig.make_token()
        assert (await rig.create(A)).json == AUTHENTICATION_FAILED


@in_every_mode
async def test_late(mode: str) -> None:
    """The call takes effect after its connection has ended, as long as it is still let in then."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A)
        await rig.fault(kind="late", delay_ms=2000, times=1)
        await rig.fault(kind="late", delay_ms=3_600_000, times=1)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await rig.add(group, B)
        await rig.sandbox.drain()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await rig.add(group, C)
        await rig.sandbox.drain()
        assert await rig.phones() == ([A, B] if mode == "token" else [A, B, C])


@in_every_mode
@pytest.mark.parametrize("applied", [False, True])
async def test_status_and_redirect(mode: str, applied: bool) -> None:
    """An HTTP status that hides what became of the call, and another host's address."""
    async with Ozonetel(mode) as rig:
        await rig.fault(kind="status", status=502, applied=applied, times=1)
        await rig.fault(kind="redirect", times=1)
        assert (await rig.create(A)).status == 502
        assert await rig.phones() == ([A] if applied else None)
        assert (await rig.create(B, name="other")).status == 302
        assert await rig.phones("other") is None


@pytest.mark.parametrize("form", ["html", "truncated", "cut", "drip"])
@pytest.mark.parametrize("applied", [False, True])
async def test_garbage(form: str, applied: bool) -> None:
    """HTTP 200 with what is no answer, for calls and for tokens."""
    async with Ozonetel("token") as rig:
        await rig.fault(kind="garbage", form=form, applied=applied, interval_ms=1)
        for request in (rig.create(A), rig.make_token()):
            if form in ("cut", "drip"):
                rig.session._timeout = aiohttp.ClientTimeout(total=0.2)
                with pytest.raises((aiohttp.ClientPayloadError, TimeoutError)):
                    await request
            else:
                reply = await request
                assert reply.status == 200
                with pytest.raises(orjson.JSONDecodeError):
                    orjson.loads(reply.body)
        assert await rig.phones() == ([A] if applied else None)


async def test_latency() -> None:
    """Every call waits."""
    async with Ozonetel() as rig:
        await rig.fault(kind="latency", ms=300)
        assert (await rig.create(A)).json["status"] == "success"
        assert rig.slept_s == [0.3]


async def test_which_calls_a_fault_meets() -> None:
    """By vendor, action and group; without a vendor, those of both."""
    async with Ozonetel() as rig:
        group = await rig.created(A)
        await rig.fault(kind="status", status=501, vendor="ozonetel", action="updateBlockNumbers")
        await rig.fault(kind="status", status=502, vendor="nxcloud", action="updateGroup")
        await rig.fault(kind="status", status=503, groupId=group)
        await rig.fault(kind="status", status=504)
        assert (await rig.add(group, B)).status == 501
        assert (await rig.update(0, C)).status == 502
        assert (await rig.delete(group, A)).status == 503
        assert (await rig.call("deleteGroup", {"groupId": GROUP})).status == 504
        assert (await rig.make_token()).status == 504
        assert await rig.fired() == [1, 1, 1, 2]


async def test_a_legacy_group_goes_by_its_id() -> None:
    """`groupId` of a fault is the vendor's number in the legacy mode."""
    async with Ozonetel("legacy") as rig:
        group = await rig.created(A)
        await rig.fault(kind="status", status=503, groupId=str(group))
        assert (await rig.add(group, B)).status == 503
        assert (await rig.create(B, name="other")).status == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "code", "code": 1002},
        {"kind": "code_as_string"},
    ],
)
async def test_nxclouds_own_faults(fault: dict[str, Any]) -> None:
    """Codes are NXCloud's: Ozonetel's calls do not meet such faults."""
    async with Ozonetel() as rig:
        await rig.fault(**fault)
        assert (await rig.create(A)).json["status"] == "success"
        assert await rig.fired() == [0]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reject_numbers", "numbers": [C]},
        {"kind": "kill_token"},
        {"kind": "authentication_failed"},
        {"kind": "error", "message": "no"},
    ],
)
async def test_ozonetels_own_faults(fault: dict[str, Any]) -> None:
    """NXCloud's calls do not meet them, and they cannot be asked for there."""
    async with Ozonetel() as rig:
        await rig.fault(**fault)
        assert (await rig.update(0, C)).code == 0
        assert await rig.fired() == [0]
        reply = await rig.control("POST", "/_sandbox/faults", {**fault, "vendor": "nxcloud"})
        assert reply.status == 400
        assert reply.json["error"].startswith("fault.vendor: ")
        assert "only ozonetel's calls" in reply.json["error"]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"kind": "drop", "vendor": "acme"}, "fault.vendor: "),
        ({"kind": "reject_numbers", "numbers": []}, "fault.numbers: "),
        ({"kind": "reject_numbers", "numbers": ["+91"]}, "fault.numbers.0: "),
        ({"kind": "authentication_failed", "http": 403}, "fault.http: "),
        ({"kind": "error"}, "fault.message: "),
        ({"kind": "error", "message": "no", "status": "success"}, "fault.status: "),
        ({"kind": "error", "message": "no", "errors": ["name"]}, "fault.errors: "),
        ({"kind": "kill_token", "token": "x"}, "fault.token: "),
    ],
)
async def test_faults_are_read_strictly(fault: dict[str, Any], why: str) -> None:
    """A wrong fault is 400 and the answer says where and why."""
    async with Ozonetel() as rig:
        reply = await rig.control("POST", "/_sandbox/faults", fault)
        assert reply.status == 400
        assert reply.json["error"].startswith(why)
