"""A worker with an Ozonetel account: what producers and operators see."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs
from whole_worker import event, results_of, serving

from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import start

KEY = "KK5f3cc1a7e2"
NUMBERS = [f"91987654{n:04d}" for n in range(250)]

ERRORS: dict[str, Any] = {
    "mandatory": {"status": "error", "message": "Parameters are mandatory"},
    "no-group": {"status": "error", "message": "Invalid group id"},
    "numbers": {
        "status": "error",
        "message": "invalid data",
        "errors": {"blockNumbers": "Blocknumbers data contains invalid format of numbers"},
    },
    "name": {
        "status": "error",
        "message": "invalid data",
        "errors": {"name": "Name (X) allows 2 to 50 characters only"},
    },
}
"""By the name of the group that is answered so."""


class Vendor:
    """Takes what is sent, but for the groups of `ERRORS`; `denials`: how many calls it denies first."""

    def __init__(self, denials: int = 0) -> None:
        self.groups: dict[str, list[str]] = {}
        self.largest = 0
        self.paths: set[str] = set()
        self.denials = denials

    async def answer(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.paths.add(request.path)
        if self.denials:
            self.denials -= 1
            return web.json_response({"status": "error", "message": "Authentication failed"}, status=401)
        name, numbers = body.get("groupName") or body["name"], body["blockNumbers"]
        if name in ERRORS:
            return web.json_response(ERRORS[name])
        group = self.groups.setdefault(name, [])
        self.largest = max(self.largest, len(numbers))
        if request.method == "DELETE":
            group[:] = [one for one in group if one not in numbers]
        else:
            group += numbers
        said = {"lastInsertId": 20, "succes": [f"+{one}" for one in numbers], "error": []}
        return web.json_response({"status": "success", "output": said})


def environ(url: str, account: str = "default", **more: str) -> dict[str, str]:
    keys = {"PROVIDER": "ozonetel", "BASE_URL": url, "USERNAME": "agent-user", "API_KEY": KEY, **more}
    return {f"NUMBERGROUP_ACCOUNTS__{account.upper()}__{key}": value for key, value in keys.items()}


async def test_create_add_and_delete() -> None:
    """At most 100 numbers a call; the group is known by its name from then on; there are no request ids."""
    vendor = Vendor()
    commands = [
        event("create", "create", groupName="night", groupKey="k", phones=NUMBERS[:120]),
        event("add", "update", groupKey="k", operateType="add", phones=NUMBERS[120:]),
        event("delete", "update", groupId="night", operateType="delete", phones=NUMBERS[:10]),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), commands[:2])
        found |= await results_of(environ(url), commands[2:])
    assert {(one["status"], one["groupId"]) for one in found.values()} == {("applied", "night")}
    assert not any(one.get("requestIds") for one in found.values())
    assert sorted(vendor.groups["night"]) == NUMBERS[10:]
    assert vendor.largest == 100


async def test_what_the_vendor_has_not_is_said() -> None:
    """To replace, to list and to delete a group are refused before any call."""
    vendor = Vendor()
    commands = [
        event("replace", "update", groupId="night", operateType="replace", phones=NUMBERS[:1]),
        event("drop", "delete", groupId="night"),
        event("list", "list"),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), commands)
    assert {(one["status"], one["error"]["kind"]) for one in found.values()} == {("rejected", "unsupported")}
    assert vendor.paths == set()


SINGAPORE = "6591234567"


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "update", "groupId": "night", "operateType": "add"},
        {"kind": "update", "groupId": "night", "operateType": "delete"},
        {
            "kind": "update",
            "groupId": "night",
            "operateType": "add",
            "expiresAt": "2027-01-31T00:00:00Z",
        },
        {"kind": "create", "groupName": "night"},
    ],
    ids=["add", "delete", "add that expires", "create"],
)
async def test_a_number_of_ten_digits_is_refused(data: dict[str, Any]) -> None:
    """The vendor would take it for an Indian one: nothing is sent, and the error says what to do, without the
    number."""
    vendor = Vendor()
    command = event("c", phones=[NUMBERS[0], SINGAPORE], **data)
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), [command])
    assert (found["c"]["status"], found["c"]["error"]["kind"]) == ("rejected", "invalid")
    assert "at place 2" in found["c"]["error"]["message"]
    assert "NATIONAL_NUMBERS" in found["c"]["error"]["message"]
    assert SINGAPORE not in str(found["c"])
    assert vendor.paths == set()


async def test_a_refused_deletion_cancels_no_addition() -> None:
    """`6591234567` of Singapore and `916591234567` of India are two numbers, which do not meet in merging."""
    vendor = Vendor()
    commands = [
        event("india", "update", groupId="night", operateType="add", phones=["91" + SINGAPORE]),
        event("singapore", "update", groupId="night", operateType="delete", phones=[SINGAPORE]),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), commands)
    assert (found["india"]["status"], found["singapore"]["status"]) == ("applied", "rejected")
    assert vendor.groups["night"] == ["91" + SINGAPORE]


@pytest.mark.parametrize("code", ["91", "65"])
async def test_a_country_code_for_ten_digits(code: str) -> None:
    """With NATIONAL_NUMBERS, numbers of ten digits are merged and sent as numbers of that country."""
    vendor = Vendor()
    commands = [
        event("add", "update", groupId="night", operateType="add", phones=["9876543210", "9876543211"]),
        event("delete", "update", groupId="night", operateType="delete", phones=[code + "9876543210"]),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url, NATIONAL_NUMBERS=code), commands)
    assert {one["status"] for one in found.values()} == {"applied"}
    assert vendor.groups["night"] == [code + "9876543211"]


async def test_documented_errors_in_results() -> None:
    """Each refusal of the vendor's pages ends its own command, with the vendor's words and our code."""
    commands = [event(name, "update", groupId=name, operateType="add", phones=NUMBERS[:1]) for name in ERRORS]
    async with serving(Vendor().answer) as url:
        found = await results_of(environ(url), commands)
    assert {one["status"] for one in found.values()} == {"rejected"}
    shown = {name: (one["error"]["code"], one["error"]["message"]) for name, one in found.items()}
    assert [code for code, _ in shown.values()].count("invalid-data") == 2
    for name, said in ERRORS.items():
        for part in (said["message"], *said.get("errors", {}).values()):
            assert part in shown[name][1]


async def test_a_failed_authentication_costs_no_command() -> None:
    """The account pauses, and the command is carried out when the vendor takes the credentials."""
    vendor = Vendor(denials=1)
    command = event("add", "update", groupId="night", operateType="add", phones=NUMBERS[:1])
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), [command])
    assert found["add"]["status"] == "applied"


async def test_accounts_of_several_vendors_at_once() -> None:
    """Each command goes to its account's vendor."""
    vendor = Vendor()
    async with serving(vendor.answer) as url, await start(Options(), port=0) as sandbox:
        nxcloud = {
            "NUMBERGROUP_ACCOUNTS__DEFAULT__BASE_URL": sandbox.url,
            "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_KEY": "sandbox-key",
            "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_SECRET": "sandbox-secret",
        }
        old = environ(url, "old", AUTH="legacy", CREATE_PATH="/old", UPDATE_GROUP_FIELD="groupName")
        commands = [
            event("n", "create", groupName="n", phones=NUMBERS[:2]),
            event("o", "create", "blocked", groupName="oz", phones=NUMBERS[:2]),
            event("l", "create", "old", groupName="legacy", phones=NUMBERS[:2]),
        ]
        found = await results_of(nxcloud | environ(url, "blocked") | old, commands)
        assert sandbox.state.groups.count("sandbox-key") == 1
    assert {one["status"] for one in found.values()} == {"applied"}
    assert (found["o"]["groupId"], found["l"]["groupId"]) == ("oz", "20")
    assert vendor.paths == {"/ca_apis/createBlockNumber", "/old"}


@pytest.mark.parametrize(("auth", "warned"), [("legacy", True), ("basic", False)])
async def test_the_deprecated_paths_are_warned_of_once(auth: str, warned: bool) -> None:
    """At start, with what to set instead."""
    with capture_logs() as logs:
        await results_of(environ("http://127.0.0.1:1", AUTH=auth), [])
    lines = [line["event"] for line in logs if "deprecated" in line["event"]]
    assert len(lines) == warned
    assert all("AUTH=basic" in line for line in lines)
