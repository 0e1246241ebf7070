"""What Ozonetel says of a success beyond that: nothing taken, counts, ids and reasons."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from ozonetel_said import ADD, CREATE, CREDENTIALS, DELETE, TEN, TWELVE, VENDORS, naming, outcome
from test_ozonetel_numbers import JUNK, NUMBERS
from whole_worker import event, results_of, serving

from numbergroup.engine.calls import Applied, Call, Details, Unavailable
from numbergroup.vendors.ozonetel import Auth
from numbergroup.vendors.ozonetel_numbers import has_no_accepted, parse_details, parse_rejected
from numbergroup.vendors.port import Answer

KEY = "KK5f3cc1a7e2"
A, B, C = (f"91987654321{n}" for n in range(3))

NOTHING: list[dict[str, Any]] = [
    {"succes": [], "error": [], "new": 0, "inserted": 0},
    {"success": [], "error": [], "deleted": 0},
    {"succes": [], "error": []},
    {"succes": [], "new": "0", "inserted": "0"},
    {"succes": None, "error": None, "inserted": 0},
    {"succes": {}, "error": {}},
    {"succes": "", "error": ""},
    {"succes": [""], "error": [""], "new": 0},
    {"new": 0, "inserted": 0},
    {"deleted": 0},
]
SOMETHING: list[Any] = [
    None,
    [],
    {},
    {"affectedRows": 1},
    {"succes": [], "error": [], "new": 3, "inserted": 3},
    {"succes": [f"+91{TEN}"], "error": [], "new": 0, "inserted": 0},
    {"succes": ["all of them"], "error": []},
    {"success": [f"+{TWELVE}"], "error": [], "deleted": 0},
]


def success(call: Call, output: Any, auth: Auth = "basic") -> Any:
    return outcome(call, {"status": "success", "message": "done", "output": output}, 200, auth)


@pytest.mark.parametrize("output", NOTHING, ids=orjson.dumps)
@pytest.mark.parametrize("call", [ADD, DELETE], ids=["add", "delete"])
def test_a_success_that_took_nothing(call: Call, output: Any) -> None:
    """No number is named, and the counts are 0: every number of the request was left out."""
    got = success(call, output)
    assert isinstance(got, Applied)
    assert (got.rejected, got.nothing_applied) == (call.numbers, True)


@pytest.mark.parametrize("output", SOMETHING, ids=orjson.dumps)
@pytest.mark.parametrize("call", [ADD, DELETE], ids=["add", "delete"])
def test_a_success_that_does_not_say_so(call: Call, output: Any) -> None:
    """A number that is taken is named, or counted; an answer that says neither is believed."""
    got = success(call, output)
    assert (got.rejected, got.nothing_applied) == ((), False)


def test_what_stands_in_no_list_when_others_are_refused() -> None:
    """The vendor names one that it did not take, and took no other."""
    got = success(ADD, {"succes": [], "error": [f"+{TWELVE}"], "new": 0, "inserted": 0})
    assert (got.rejected, got.nothing_applied) == (ADD.numbers, False)


@pytest.mark.parametrize("output", NOTHING, ids=orjson.dumps)
def test_a_group_without_its_numbers(output: Any) -> None:
    """A create made the group and took none of its numbers."""
    got = success(CREATE, {**output, "lastInsertId": 20, "affectedRows": 1}, "legacy")
    assert (got.group_id, got.rejected) == ("20", CREATE.numbers)


@pytest.mark.parametrize(
    "output", [{"affectedRows": 0}, {"affectedRows": "0", "succes": []}, {"lastInsertId": 0, "new": 0}]
)
@pytest.mark.parametrize("auth", ["basic", "token", "legacy"])
def test_a_create_that_made_no_group(output: Any, auth: Auth) -> None:
    """It is no group that later commands could be sent to; nor may it be made again blindly."""
    got = success(CREATE, output, auth)
    assert isinstance(got, Unavailable)
    assert got.in_doubt


def test_counts_and_ids_are_kept_under_the_vendors_names() -> None:
    """As numbers, whether they came as such or as text; what is none is left out."""
    output = {"affectedRows": "1", "lastInsertId": 20, "succes": [TEN], "new": 3, "inserted": None}
    got = success(CREATE, output)
    assert got.details == Details({"affectedRows": 1, "new": 3}, {"lastInsertId": 20})
    assert success(ADD, {}).details is None
    assert success(DELETE, {"deleted": 2, "success": [TEN]}).details == Details({"deleted": 2})


@pytest.mark.parametrize(
    "error",
    [
        {f"+{TWELVE}": "not allowed"},
        [{"number": f"+{TWELVE}", "reason": "not allowed"}],
        [f"+{TWELVE}: not allowed"],
        f"{TWELVE} - not allowed",
        [{f"+{TWELVE}": "not allowed"}],
        {"number": TWELVE, "reason": "not allowed"},
        {"0": {"blockNumber": TWELVE, "message": "not allowed"}},
    ],
)
def test_reasons(error: Any) -> None:
    """Why a number was not taken, wherever the vendor says it, under the number as it was sent."""
    got = outcome(ADD, naming(ADD, error, [f"+91{TEN}"]))
    assert isinstance(got, Applied)
    assert got.rejected == (TWELVE,)
    assert got.details is not None
    assert got.details.reasons == {TWELVE: "not allowed"}


@pytest.mark.parametrize(
    "error",
    [
        {f"+{TWELVE}": f"a twin of +91{TEN}"},
        {"number": TWELVE, "reason": f"a twin of +91{TEN}"},
        f"+{TWELVE} is a twin of +91{TEN}",
        [f"+{TWELVE} is a twin of +91{TEN}"],
        {"0": f"{TWELVE}: a twin of {TEN}"},
    ],
)
def test_a_number_in_a_reason_was_not_refused(error: Any) -> None:
    """Only who the reason is about was not taken."""
    got = outcome(ADD, naming(ADD, error))
    assert isinstance(got, Applied)
    assert got.rejected == (TWELVE,)


def test_no_number_and_no_secret_in_a_reason() -> None:
    """What the vendor quotes there is masked as in any message of it."""
    got = outcome(ADD, naming(ADD, {f"+{TWELVE}": f"+{TWELVE} of {KEY} is a twin of {TEN}"}))
    assert isinstance(got, Applied)
    assert got.details is not None
    assert got.details.reasons == {TWELVE: "<number> of *** is a twin of <number>"}


@given(NUMBERS, JUNK)
def test_nothing_is_invented(numbers: list[str], output: Any) -> None:
    """Whatever stands there: only numbers that were sent have reasons, and none of a success that took
    nothing is taken."""
    for content in ({"output": output}, {"output": {"error": output, "new": output}}):
        details = parse_details(content, numbers, str)
        assert details is None or set(details.reasons) <= set(parse_rejected(content, numbers))
        assert numbers or not has_no_accepted(content, numbers)
        body = orjson.dumps({"status": "success", **content})
        got = VENDORS["basic"].parse_answer(
            Call(ADD.kind, tuple(numbers), "g"), Answer(200, body), CREDENTIALS
        )
        assert isinstance(got, Applied)


class Vendor:
    """Says of each group what it was told to."""

    def __init__(self, **outputs: Any) -> None:
        self.outputs = outputs
        self.calls = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        body = orjson.loads(await request.read())
        output = self.outputs[body.get("groupName") or body["name"]]
        return web.json_response({"status": "success", "message": "updated", "output": output})


def environ(url: str) -> dict[str, str]:
    keys = {"PROVIDER": "ozonetel", "BASE_URL": url, "USERNAME": "agent-user", "API_KEY": KEY}
    return {f"NUMBERGROUP_ACCOUNTS__DEFAULT__{key}": value for key, value in keys.items()}


def add(name: str, *phones: str, group: str, operation: str = "add") -> bytes:
    return event(name, "update", groupId=group, operateType=operation, phones=list(phones))


async def test_results_have_what_the_vendor_says() -> None:
    """Counts and ids of the command's calls; of a merged call each of its commands has them, and the reasons
    of its own numbers alone. A repeat is answered with the same."""
    vendor = Vendor(
        night={"affectedRows": 1, "lastInsertId": 20, "succes": [A, B], "new": 2, "inserted": 2},
        day={"succes": [f"+{A}"], "error": {f"+{B}": "twin", f"+{C}": "odd"}, "new": 1, "inserted": 1},
        none={"succes": [], "error": [], "new": 0, "inserted": 0},
    )
    commands = [
        event("create", "create", groupName="night", phones=[A, B]),
        add("one", A, B, group="day"),
        add("two", C, group="day"),
        add("none", A, B, group="none"),
        add("none deleted", A, group="none", operation="delete"),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), commands)
    said = {name: one.get("vendor") for name, one in found.items()}
    assert said["create"] == {"affectedRows": 1, "new": 2, "inserted": 2, "lastInsertId": 20}
    assert found["one"]["mergedCommands"] == found["two"]["mergedCommands"] == 2
    assert said["one"] == {"new": 1, "inserted": 1, "reasons": {B: "twin"}}
    assert said["two"] == {"new": 1, "inserted": 1, "reasons": {C: "odd"}}
    assert [found[name]["status"] for name in ("one", "two")] == ["partial", "rejected"]


async def test_a_success_that_took_nothing_is_no_success_to_the_producer() -> None:
    """The command is rejected with all of its numbers, and is dead-lettered; a repeat is answered alike."""
    vendor = Vendor(none={"succes": [], "error": [], "new": 0, "inserted": 0})
    first = add("none", A, B, group="none")
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), [first])
    one = found["none"]
    assert (one["status"], one["rejectedNumbers"]) == ("rejected", [A, B])
    assert one["error"]["kind"] == "refused"
    assert one["deadLetterId"]
    assert one["vendor"] == {"new": 0, "inserted": 0}
