"""What producers of an Ozonetel account are told of single numbers, and before any call."""

from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web
from whole_worker import event, results_of, serving

KEY = "KK5f3cc1a7e2"
NUMBERS = [f"91987654{n:04d}" for n in range(6)]
DIWALI, NEW_YEAR = "2030-10-26T18:30:00Z", "2029-12-31T18:30:00Z"


class Vendor:
    """Takes what is sent, but for the numbers of `bad`, which it names in `output.error`."""

    def __init__(self, *bad: str) -> None:
        self.bad = set(bad)
        self.bodies: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.bodies.append(body)
        numbers = set(body["blockNumbers"])
        said = {
            "succes": [f"+{n}" for n in numbers - self.bad],
            "error": [f"+{n}" for n in numbers & self.bad],
        }
        return web.json_response({"status": "success", "message": "updated", "output": said})


def environ(url: str, **more: str) -> dict[str, str]:
    keys = {"PROVIDER": "ozonetel", "BASE_URL": url, "USERNAME": "agent-user", "API_KEY": KEY, **more}
    return {f"NUMBERGROUP_ACCOUNTS__DEFAULT__{key}": value for key, value in keys.items()}


def add(name: str, phones: list[str], group: str = "night", **more: Any) -> bytes:
    return event(name, "update", groupId=group, operateType="add", phones=phones, **more)


async def test_some_numbers_are_not_taken() -> None:
    """`status: success` with numbers in `output.error`: who asked for them is told which; nobody else is."""
    vendor = Vendor(NUMBERS[1], NUMBERS[2])
    commands = [add("some", NUMBERS[:2]), add("none", NUMBERS[2:3]), add("all", NUMBERS[3:])]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), commands)
    assert {name: one["status"] for name, one in found.items()} == {
        "some": "partial",
        "none": "rejected",
        "all": "applied",
    }
    assert found["some"]["rejectedNumbers"] == [NUMBERS[1]]
    assert found["none"]["rejectedNumbers"] == [NUMBERS[2]]
    assert not found["all"].get("rejectedNumbers")


async def test_expiry_dates_go_with_their_numbers() -> None:
    """One call for each date, in the vendor's zone; numbers without one go apart."""
    vendor = Vendor()
    commands = [
        add("a", NUMBERS[:2], expiresAt=DIWALI),
        add("b", NUMBERS[2:4], expiresAt=NEW_YEAR),
        add("c", NUMBERS[4:5], expiresAt=DIWALI),
        add("d", NUMBERS[5:]),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url, TIMEZONE="Asia/Kolkata"), commands)
    assert {one["status"] for one in found.values()} == {"applied"}
    told = {number: body.get("expiryDate") for body in vendor.bodies for number in body["blockNumbers"]}
    assert told == {
        **dict.fromkeys((*NUMBERS[:2], NUMBERS[4]), "2030-10-27 00:00:00"),
        **dict.fromkeys(NUMBERS[2:4], "2030-01-01 00:00:00"),
        NUMBERS[5]: None,
    }
    assert len(vendor.bodies) == 3


async def test_a_create_may_have_an_expiry_and_later_adds_their_own() -> None:
    """Merged, each number keeps its own: the create's, that of a later add, or none."""
    vendor = Vendor()
    commands = [
        event("create", "create", groupName="night", groupKey="k", phones=NUMBERS[:2], expiresAt=DIWALI),
        event(*("later", "update"), groupKey="k", operateType="add", phones=NUMBERS[1:3], expiresAt=NEW_YEAR),
        event("ever", "update", groupKey="k", operateType="add", phones=NUMBERS[3:4]),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), commands)
    assert {one["status"] for one in found.values()} == {"applied"}
    told = {number: body.get("expiryDate") for body in vendor.bodies for number in body["blockNumbers"]}
    assert told == {
        NUMBERS[0]: "2030-10-27 00:00:00",
        NUMBERS[1]: "2030-01-01 00:00:00",
        NUMBERS[2]: "2030-01-01 00:00:00",
        NUMBERS[3]: None,
    }


async def test_a_group_is_renamed() -> None:
    """By the legacy paths; elsewhere a name is `unsupported`, and a remark is changed."""
    vendor = Vendor()
    commands = [
        event("name", "rename", groupId="20", groupName="day", remark="of the day"),
        event("add", "update", groupId="20", operateType="add", phones=NUMBERS[:1]),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url, AUTH="legacy"), commands)
        other = await results_of(environ(url), [event("other", "rename", groupId="night", groupName="day")])
    assert {one["status"] for one in found.values()} == {"applied"}
    assert {"Id": 20, "blockNumbers": [], "name": "day", "description": "of the day"} in vendor.bodies
    assert len(vendor.bodies) == 2
    assert (other["other"]["status"], other["other"]["error"]["kind"]) == ("rejected", "unsupported")


async def test_limits_are_checked_before_any_call() -> None:
    """Names, descriptions, numbers of another pattern: refused with the reason, and nothing is sent."""
    vendor = Vendor()
    far = datetime(9999, 12, 31, 23, 0, 0, tzinfo=UTC).isoformat().replace("+00:00", "Z")
    commands = [
        event("long", "create", groupName="x" * 51, phones=NUMBERS),
        event("nameless", "create", phones=NUMBERS),
        event("remark", "create", groupName="night", remark="x", phones=NUMBERS),
        add("abroad", [NUMBERS[0], "85211111114"]),
        add("short", NUMBERS, group="x"),
        add("far", NUMBERS, expiresAt=far),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url, NUMBER_PATTERN="91[6-9][0-9]{9}"), commands)
    assert {(one["status"], one["error"]["kind"]) for one in found.values()} == {("rejected", "invalid")}
    assert "85211111114" not in found["abroad"]["error"]["message"]
    assert vendor.bodies == []
