"""What Ozonetel is sent, mode by mode."""

from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from ozonetel_said import (
    ADD,
    CREATE,
    CREDENTIALS,
    DELETE,
    EVERY_KIND,
    KEY,
    MODES,
    SENT,
    TOKEN,
    VENDOR_URL,
    VENDORS,
)

from numbergroup.engine.calls import Call, CallKind
from numbergroup.engine.commands import Command, CommandKey, CommandKind, GroupRef, HandleKind
from numbergroup.vendors.ozonetel import Auth, Ozonetel
from numbergroup.vendors.port import Request

LEGACY = "/CAServicesV3/blockNumberGroupV2.php"
NUMBERS = list(SENT)
WHO = {"userName": "agent-user"}
MADE = {"name": "night shift", "description": "of the night", "blockNumbers": NUMBERS}


def request(call: Call, auth: Auth) -> Request:
    return VENDORS[auth].build_request(call, 0, CREDENTIALS)


def body(call: Call, auth: Auth = "legacy", vendor: Ozonetel | None = None) -> Any:
    return orjson.loads((vendor or VENDORS[auth]).build_request(call, 0, CREDENTIALS).body)


@pytest.mark.parametrize(
    ("call", "method", "content"),
    [
        (CREATE, "POST", MADE),
        (ADD, "PUT", {"Id": 20, "blockNumbers": NUMBERS}),
        (DELETE, "DELETE", {"id": 20, "blockNumbers": NUMBERS}),
    ],
    ids=["create", "add", "delete"],
)
def test_legacy(call: Call, method: str, content: Any) -> None:
    """One path for all, HTTP Basic, and the group by its number."""
    sent = request(call, "legacy")
    assert (sent.method, sent.url) == (method, VENDOR_URL + LEGACY)
    kind, _, pair = sent.headers["Authorization"].partition(" ")
    assert (kind, b64decode(pair)) == ("Basic", f"agent-user:{KEY}".encode())
    assert orjson.loads(sent.body) == content


@pytest.mark.parametrize(
    ("call", "method", "path", "content"),
    [
        (CREATE, "POST", "/ca_apis/createBlockNumber", WHO | MADE),
        (ADD, "PUT", "/ca_apis/updateBlockNumbers", WHO | {"groupName": "20", "blockNumbers": NUMBERS}),
        (DELETE, "DELETE", "/ca_apis/deleteBlockNumber", WHO | {"groupName": "20", "blockNumbers": NUMBERS}),
    ],
    ids=["create", "add", "delete"],
)
@pytest.mark.parametrize("auth", ["basic", "token"])
def test_the_new_paths(call: Call, method: str, path: str, content: Any, auth: Auth) -> None:
    """A path for each operation, the user in the body, and the group by its name."""
    sent = request(call, auth)
    assert (sent.method, sent.url) == (method, VENDOR_URL + path)
    assert orjson.loads(sent.body) == content


@pytest.mark.parametrize(
    ("texts", "sent"),
    [
        ({"group_name": "day"}, {"name": "day"}),
        ({"remark": "of the day"}, {"description": "of the day"}),
        ({"group_name": "day", "remark": "of the day"}, {"name": "day", "description": "of the day"}),
    ],
)
def test_a_rename(texts: dict[str, str], sent: dict[str, str]) -> None:
    """It is an update without numbers, of what is to change alone."""
    call = Call(CallKind.RENAME, group_id="20", **texts)  # type: ignore[arg-type]
    assert request(call, "legacy").method == "PUT"
    assert body(call) == {"Id": 20, "blockNumbers": [], **sent}
    if "group_name" not in texts:
        assert body(call, "basic") == WHO | {"groupName": "20", "blockNumbers": [], **sent}


def test_a_name_that_cannot_be_changed() -> None:
    """Where the vendor knows a group by its name, it cannot get another one; a remark can be changed."""
    rename = command(CommandKind.RENAME, group_name="day")
    for auth in ("basic", "token"):
        found = VENDORS[auth].check_command(rename)  # type: ignore[index]
        assert found is not None
        assert found.kind == "unsupported"
        assert VENDORS[auth].check_command(command(CommandKind.RENAME, remark="of the day")) is None  # type: ignore[index]
    assert VENDORS["legacy"].check_command(rename) is None
    by_name = replace(VENDORS["legacy"], api=replace(VENDORS["legacy"].api, update_group_field="name"))
    assert by_name.check_command(rename) is not None


@pytest.mark.parametrize("texts", [{"group_name": "x"}, {"remark": "x" * 51}, {"remark": ""}])
def test_limits_of_a_rename(texts: dict[str, str]) -> None:
    """Those of a create."""
    found = VENDORS["legacy"].check_command(command(CommandKind.RENAME, **texts))
    assert found is not None
    assert (found.kind, "2 to 50" in found.message) == ("invalid", True)


@pytest.mark.parametrize("call", EVERY_KIND, ids=lambda call: call.kind.value)
def test_who_we_are(call: Call) -> None:
    """Each mode shows just what it needs: with a token, the API key stays at home."""
    assert request(call, "basic").headers == {"Content-Type": "application/json", "apiKey": KEY}
    bearing = request(call, "token")
    assert bearing.headers == {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    assert KEY.encode() not in bearing.body


def test_a_stand_in_for_the_remark_is_no_longer_than_a_remark() -> None:
    """The name stands in for it, as far as it fits: nobody could correct what they did not write."""
    vendor = replace(VENDORS["basic"], longest_description=20)
    call = replace(CREATE, group_name="x" * 30, remark=None)
    assert body(call, vendor=vendor)["description"] == "x" * 20


@pytest.mark.parametrize("auth", MODES)
def test_a_create_without_a_remark(auth: Auth) -> None:
    """The vendor wants a description: it is the name then."""
    assert body(replace(CREATE, remark=None), auth)["description"] == "night shift"


@pytest.mark.parametrize("auth", MODES)
@pytest.mark.parametrize(
    ("zone", "written"),
    [("Asia/Kolkata", "2026-11-22 01:30:00"), ("UTC", "2026-11-21 20:00:00")],
)
def test_expiry_dates(auth: Auth, zone: str, written: str) -> None:
    """They are in the account's zone; a deletion has none."""
    at = datetime(2026, 11, 21, 20, 0, 0, 999_999, tzinfo=UTC).timestamp()
    vendor = replace(VENDORS[auth], zone=ZoneInfo(zone))
    for call in (CREATE, ADD):
        assert body(replace(call, expires_at=at), auth, vendor)["expiryDate"] == written
        assert "expiryDate" not in body(call, auth, vendor)
    assert "expiryDate" not in body(replace(DELETE, expires_at=at), auth, vendor)


def test_a_legacy_id_that_is_no_number_is_sent_as_it_is() -> None:
    """It is the vendor's to refuse."""
    assert body(replace(ADD, group_id="x-7"))["Id"] == "x-7"


def test_paths_and_fields_are_values() -> None:
    """Where the vendor's pages do not agree, another of them can be had."""
    api = replace(VENDORS["basic"].api, update_path="/ca_apis/updateBlockNumber", numbers_field="blockNumber")
    api = replace(api, update_group_field="name", delete_group_field="id")
    vendor = replace(VENDORS["basic"], api=api, base_url="https://partner.example/")
    sent = vendor.build_request(ADD, 0, CREDENTIALS)
    assert sent.url == "https://partner.example/ca_apis/updateBlockNumber"
    assert orjson.loads(sent.body) == WHO | {"name": "20", "blockNumber": NUMBERS}
    assert orjson.loads(vendor.build_request(DELETE, 0, CREDENTIALS).body)["id"] == "20"


def command(kind: CommandKind, handle: HandleKind = HandleKind.ID, name: str = "20", **more: Any) -> Command:
    group = GroupRef("default", handle, name)
    return Command(CommandKey("s", "1"), "t", kind, group, SENT[1:], "f", [], **more)


@pytest.mark.parametrize("auth", MODES)
@pytest.mark.parametrize("length", [0, 1, 2, 50, 51])
def test_limits_of_names_and_remarks(auth: Auth, length: int) -> None:
    """2 to 50 characters each; what is out of it is refused before any call, and says the limit."""
    text, fits = "é" * length, 2 <= length <= 50
    for more in ({"group_name": text}, {"group_name": "fine", "remark": text}):
        found = VENDORS[auth].check_command(command(CommandKind.CREATE, HandleKind.OWN, **more))
        assert (found is None) is fits
        assert fits or (found and found.kind == "invalid" and "2 to 50" in found.message)


@pytest.mark.parametrize("auth", MODES)
def test_a_create_needs_a_name(auth: Auth) -> None:
    """There is no group without one."""
    found = VENDORS[auth].check_command(command(CommandKind.CREATE, HandleKind.KEY))
    assert found
    assert "groupName" in found.message


def test_a_group_id_that_no_name_can_be() -> None:
    """Where a groupId is the group's name it keeps to the limits of names; a groupKey is ours."""
    for auth, fits in (("legacy", True), ("basic", False), ("token", False)):
        assert (VENDORS[auth].check_command(command(CommandKind.ADD, name="7")) is None) is fits  # type: ignore[index]
    assert VENDORS["basic"].check_command(command(CommandKind.ADD, HandleKind.KEY, "7")) is None


@pytest.mark.parametrize(("year", "fits"), [(2030, True), (9999, False)])
def test_an_expiry_beyond_the_calendar(year: int, fits: bool) -> None:
    """An instant that is in no year of four digits where the vendor is, is refused before any call."""
    at = datetime(year, 12, 31, 23, 0, 0, tzinfo=UTC).timestamp()
    assert (VENDORS["basic"].check_command(command(CommandKind.ADD, number_expiry=at)) is None) is fits


@pytest.mark.parametrize("kind", [CallKind.REPLACE, CallKind.LIST, CallKind.DELETE_GROUP])
def test_what_the_vendor_has_not(kind: CallKind) -> None:
    """It is not among what it can do, and no request for it can be had."""
    can = VENDORS["basic"].capabilities
    assert CommandKind[kind.name] not in can.commands
    with pytest.raises(ValueError, match="Ozonetel has no"):
        request(Call(kind, group_id="20"), "basic")
