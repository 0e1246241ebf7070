"""Ozonetel's tokens over HTTP: how one is had, and which calls it is good for."""

from typing import Any

import pytest
from ozonetel_rig import AUTHENTICATION_FAILED, NAME, A, B, Ozonetel

WRONG = {"status": "false", "message": "userName or apiKey is Invalid", "data": None}
MISSING = {"status": "false", "message": "Missing userName or apiKey", "data": None}


async def test_the_answer() -> None:
    """It has the token and an empty message, as on the page; no control endpoint shows it or the API key."""
    async with Ozonetel() as rig:
        reply = await rig.make_token()
        token = reply.json["token"]
        assert (reply.status, reply.json) == (200, {"token": token, "message": ""})
        assert token.count(".") == 2
        logged = await rig.last_call()
        assert (logged["action"], logged["applied"], logged["userName"]) == ("generateToken", True, "sandbox")
        for page in ("calls", "credentials", "groups", "faults"):
            shown = (await rig.control("GET", f"/_sandbox/{page}")).body
            assert token.encode() not in shown
            assert b"sandbox-api-key" not in shown


@pytest.mark.parametrize(
    ("body", "key", "status", "answer"),
    [
        ({"userName": "nobody"}, "sandbox-api-key", 401, WRONG),
        ({"userName": "sandbox"}, "wrong", 401, WRONG),
        ({"userName": "sandbox"}, "", 200, MISSING),
        ({}, "sandbox-api-key", 200, MISSING),
        ({"userName": 7}, "sandbox-api-key", 200, MISSING),
        (b"nonsense", "sandbox-api-key", 200, MISSING),
    ],
)
async def test_refusals(body: Any, key: str, status: int, answer: dict[str, Any]) -> None:
    """`status` is the text `false`, and the token that there is stays good."""
    async with Ozonetel("token") as rig:
        reply = await rig.make_token(body, apiKey=key)
        assert (reply.status, reply.json) == (status, answer)
        assert (await rig.create(A)).json["status"] == "success"


async def test_a_token_makes_no_token() -> None:
    """The API key does, and nothing else."""
    async with Ozonetel("token") as rig:
        reply = await rig.make_token(Authorization=f"Bearer {rig.token}")
        assert reply.json == MISSING


async def test_it_lasts_60_minutes() -> None:
    """Up to then it is good, and from then on it is a failed authentication."""
    async with Ozonetel("token") as rig:
        group = await rig.created(A)
        rig.now_ms += 3_600_000 - 1
        assert (await rig.add(group, B)).json["message"] == "updated"
        rig.now_ms += 1
        reply = await rig.delete(group, A)
        assert (reply.status, reply.json) == (401, AUTHENTICATION_FAILED)
        rig.token = (await rig.make_token()).json["token"]
        assert (await rig.delete(group, A)).json["message"] == "deleted"


async def test_a_new_one_kills_the_old() -> None:
    """Only the newest is good."""
    async with Ozonetel("token") as rig:
        await rig.make_token()
        assert (await rig.create(A)).json == AUTHENTICATION_FAILED


async def test_ten_an_hour() -> None:
    """The eleventh is refused as too many, kills nothing, and may be had an hour after the first."""
    async with Ozonetel("token") as rig:
        for _ in range(9):
            rig.now_ms += 60_000
            rig.token = (await rig.make_token()).json["token"]
        refused = {"status": "false", "message": "Max limit exceeded", "data": None}
        assert (await rig.make_token()).json == refused
        assert (await rig.create(A)).json["status"] == "success"
        rig.now_ms += 51 * 60_000
        assert "token" in (await rig.make_token()).json
        assert (await rig.make_token()).json == refused


async def test_a_token_is_its_users() -> None:
    """With another's `userName` it is good for nothing."""
    users = {"sandbox": "sandbox-api-key", "other": "other-key"}
    async with Ozonetel("token", ozonetel_credentials=users) as rig:
        rig.user = "other"
        assert (await rig.create(A)).json == AUTHENTICATION_FAILED


async def test_options() -> None:
    """How long a token lasts and how many there may be can be set."""
    async with Ozonetel("token", token_lasts_s=5, tokens_an_hour=1) as rig:
        rig.now_ms += 5000
        assert (await rig.create(A)).status == 401
        assert (await rig.make_token()).json["message"] == "Max limit exceeded"


async def test_it_may_run_out_on_the_way() -> None:
    """A call that waits for longer than its token lasts is not carried out."""
    async with Ozonetel("token") as rig:
        group = await rig.created(A)
        await rig.fault(kind="latency", ms=3_600_000, times=1)
        assert (await rig.add(group, B)).status == 401
        assert await rig.phones(NAME) == [A]
