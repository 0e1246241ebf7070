"""What every vendor's adapter promises, whoever it is: NXCloud, Ozonetel's three modes, and a third one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from third_vendor import Plain

from numbergroup.engine.calls import AccountFault, Applied, Call, CallKind, Outcome, Refused, Withheld
from numbergroup.engine.commands import Command, CommandKey, CommandKind, GroupRef, HandleKind
from numbergroup.vendors.nxcloud import NXCloud
from numbergroup.vendors.ozonetel import Ozonetel
from numbergroup.vendors.ozonetel_api import CURRENT, LEGACY
from numbergroup.vendors.port import Answer, Credentials, Provider

VENDORS: Mapping[str, Provider] = {
    "nxcloud": NXCloud("https://vendor.example/"),
    "ozonetel-legacy": Ozonetel(auth="legacy", api=LEGACY),
    "ozonetel-basic": Ozonetel(auth="basic", api=CURRENT),
    "ozonetel-token": Ozonetel(auth="token", api=CURRENT),
    "plain": Plain(),
}
SUCCESSES = {
    "nxcloud": {"code": 0, "groupId": "g-1", "data": {"groups": []}},
    "ozonetel-legacy": {"status": "success", "output": {"lastInsertId": 7}},
    "ozonetel-basic": {"status": "success", "output": {}},
    "ozonetel-token": {"status": "success", "output": {}},
    "plain": {"id": "g-1"},
}
DENIALS = {
    "nxcloud": {"code": 1003, "msg": "invalid signature"},
    "plain": {"error": "denied: no such key"},
    **{name: {"status": "error", "message": "Authentication failed"} for name in VENDORS if "-" in name},
}
SECRET, TOKEN = "s3cr3t-Of-Ours", "t0k3n.Of-Ours"
CREDENTIALS = Credentials("user-of-ours", SECRET, TOKEN)

NUMBERS = st.lists(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True), unique=True, min_size=1, max_size=100)
JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=20)
    | st.sampled_from([SECRET, TOKEN, "success", "error", "0", f"bad: {SECRET}", f"invalid data {TOKEN}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = ["status", "message", "errors", "output", "code", "msg", "error", "id", "groupId", "data", "requestId"]
ANSWERS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5)
STATUSES = st.integers(100, 999)
OUTCOMES = tuple(kind for kind in get_args(Outcome) if kind is not Withheld)

each_vendor: Callable[..., Any] = pytest.mark.parametrize("name", VENDORS)


def calls_of(vendor: Provider, numbers: tuple[str, ...]) -> list[Call]:
    """A call of each kind that the vendor can carry out."""
    every = [
        Call(CallKind.CREATE, numbers, group_name="night shift", remark="of the night"),
        Call(CallKind.ADD, numbers, "12"),
        Call(CallKind.DELETE, numbers, "12"),
        Call(CallKind.REPLACE, numbers, "12"),
        Call(CallKind.DELETE_GROUP, group_id="12"),
        Call(CallKind.LIST, limit=1000),
    ]
    return [call for call in every if CommandKind[call.kind.name] in vendor.capabilities.commands]


@each_vendor
def test_what_it_can_do_is_sound(name: str) -> None:
    """It can do something; sizes and times are such that work can go on."""
    vendor = VENDORS[name]
    can = vendor.capabilities
    assert {CommandKind.CREATE, CommandKind.ADD} & can.commands
    assert can.numbers_per_call >= 1
    assert can.page_size >= 2
    assert vendor.acceptance_window_s > 0
    assert vendor.clock_codes.isdisjoint(vendor.credential_codes)


@each_vendor
@given(NUMBERS)
def test_a_request_carries_just_the_numbers_of_its_call(name: str, numbers: list[str]) -> None:
    """All of them, in order, each once, and whatever else is in the body is no number."""
    vendor = VENDORS[name]
    for call in calls_of(vendor, tuple(numbers)):
        request = vendor.build_request(call, 1_700_000_000_000, CREDENTIALS)
        assert request.url.startswith(("http://", "https://"))
        assert found_in(orjson.loads(request.body)) == list(call.numbers)


def found_in(body: Any) -> list[str]:
    """The values of a body that name numbers: the array, or the text with commas."""
    values = [
        value for key, value in body.items() if key in ("phones", "blockNumbers", "numbers", "add", "remove")
    ]
    return [one for value in values for one in (value.split(",") if isinstance(value, str) else value)]


@each_vendor
def test_a_request_says_the_same_twice(name: str) -> None:
    """A request is a function of the call, the time and the credentials."""
    vendor = VENDORS[name]
    for call in calls_of(vendor, ("447700900000",)):
        assert vendor.build_request(call, 5, CREDENTIALS) == vendor.build_request(call, 5, CREDENTIALS)


@each_vendor
@given(STATUSES, st.binary(max_size=200))
def test_any_bytes_have_an_outcome(name: str, status: int, body: bytes) -> None:
    """Whatever comes, nothing raises."""
    vendor = VENDORS[name]
    for call in calls_of(vendor, ("447700900000",)):
        check(call, vendor.parse_answer(call, Answer(status, body), CREDENTIALS))


@each_vendor
@given(STATUSES, ANSWERS | JSON)
def test_any_json_has_an_outcome(name: str, status: int, content: Any) -> None:
    """The nearer it comes to an answer the less; and no secret is in what is shown of it."""
    vendor = VENDORS[name]
    for call in calls_of(vendor, ("447700900000",)):
        check(call, vendor.parse_answer(call, Answer(status, orjson.dumps(content)), CREDENTIALS))


def check(call: Call, got: Outcome) -> None:
    assert isinstance(got, OUTCOMES)
    said = getattr(got, "message", "")
    assert SECRET not in said
    assert call.numbers == () or call.numbers[0] not in said
    if isinstance(got, Applied):
        assert set(got.rejected) <= set(call.numbers)
        assert call.kind is not CallKind.CREATE or got.group_id


@each_vendor
def test_a_success_is_applied(name: str) -> None:
    """Of each kind; a create has the id by which the group is addressed from then on."""
    vendor = VENDORS[name]
    body = orjson.dumps(SUCCESSES[name])
    for call in calls_of(vendor, ("447700900000",)):
        got = vendor.parse_answer(call, Answer(200, body), CREDENTIALS)
        assert isinstance(got, Applied)
        assert (got.group_id is not None) is (call.kind is CallKind.CREATE)
        assert (got.groups is not None) is (call.kind is CallKind.LIST)
        assert got.rejected == ()


@each_vendor
@given(STATUSES)
def test_a_success_body_is_none_beside_a_status_of_failure(name: str, status: int) -> None:
    """What the body says was done is never reported as done then, nor as not done."""
    vendor = VENDORS[name]
    body = orjson.dumps(SUCCESSES[name])
    for call in calls_of(vendor, ("447700900000",)):
        got = vendor.parse_answer(call, Answer(status, body), CREDENTIALS)
        if not 200 <= status < 300:
            assert not isinstance(got, Applied | Withheld)
            # The third vendor states its successes by the status alone.
            assert got.in_doubt or name == "plain"


@each_vendor
def test_wrong_credentials_blame_no_command(name: str) -> None:
    """They are a fault of the account, by a code that others may mend."""
    vendor = VENDORS[name]
    for call in calls_of(vendor, ("447700900000",)):
        for status in (200, 401):
            got = vendor.parse_answer(call, Answer(status, orjson.dumps(DENIALS[name])), CREDENTIALS)
            assert isinstance(got, AccountFault)
            assert got.code in vendor.credential_codes


@each_vendor
@pytest.mark.parametrize("status", [500, 502, 504])
def test_silence_is_doubt(name: str, status: int) -> None:
    """Without a verdict of the vendor's nobody knows."""
    vendor = VENDORS[name]
    for call in calls_of(vendor, ("447700900000",)):
        got = vendor.parse_answer(call, Answer(status, b"<html>"), CREDENTIALS)
        assert not isinstance(got, Applied | Refused | Withheld)
        assert got.in_doubt


@each_vendor
def test_an_objection_is_no_secret(name: str) -> None:
    """A sound command has none; one that a vendor objects to says what is wrong, and quotes nothing of it."""
    vendor = VENDORS[name]
    group = GroupRef("default", HandleKind.KEY, "k")
    numbers = ("447700900000",)
    fine = Command(CommandKey("s", "1"), "t", CommandKind.CREATE, group, numbers, "f", [], group_name="night")
    assert vendor.check_command(fine) is None
    found = vendor.check_command(replace(fine, group_name="", remark="447700900000" * 99))
    assert found is None or "447700900000" not in found.message
