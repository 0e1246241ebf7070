"""The control endpoints with two vendors, and the help that names all there is."""

import re
from typing import Any, get_args

import orjson
import pytest
from ozonetel_rig import API_KEY, DESCRIPTION, MODES, NAME, USER, A, B, C, Ozonetel
from test_sandbox_rig import GROUP, KEY

from numbergroup.sandbox.faults import Action, Fault, read_faults
from numbergroup.sandbox.help import HELP

in_every_mode = pytest.mark.parametrize("mode", MODES)
SEED = {"vendor": "ozonetel", "groupName": "seeded", "phones": [A, B]}


async def test_groups_of_both_vendors() -> None:
    """NXCloud's come first and as ever; Ozonetel's say whose they are, and when numbers leave."""
    async with Ozonetel() as rig:
        await rig.update(0, C)
        await rig.created(A, B)
        await rig.add(NAME, B, expiryDate="2030-01-01 05:30:00")
        ours = {
            "accessKey": KEY,
            "groupId": GROUP,
            "groupName": GROUP,
            "customerId": "cus_1",
            "remark": "",
            "phones": [C],
        }
        theirs = {
            "vendor": "ozonetel",
            "userName": USER,
            "groupId": "1",
            "groupName": NAME,
            "description": DESCRIPTION,
            "phones": [A, B],
            "expires_ms": {B: 1_893_456_000_000},
        }
        for query, shown in {
            "": [ours, theirs],
            "?vendor=nxcloud": [ours],
            f"?accessKey={KEY}": [ours],
            "?vendor=ozonetel": [theirs],
            f"?userName={USER}": [theirs],
        }.items():
            reply = (await rig.control("GET", f"/_sandbox/groups{query}")).json
            assert reply == {"groups": shown, "total": len(shown), "late": 0}, query


@in_every_mode
async def test_a_call_in_the_log(mode: str) -> None:
    """What it said and what it got, marked by vendor and mode; NXCloud's calls look as ever."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A, expiryDate="2030-01-01 00:00:00")
        await rig.add("nobody", B)
        await rig.update(0, C)
        logged = (await rig.control("GET", "/_sandbox/calls")).json
        created, refused, other = logged["calls"][-3:]
        said = {"at_ms": rig.now_ms, "vendor": "ozonetel", "mode": mode, "userName": USER, "rejected": []}
        assert created == {
            **said,
            "action": "createBlockNumber",
            "groupId": str(group),
            "phones": [A],
            "expiryDate": "2030-01-01 00:00:00",
            "message": "created",
            "http": 200,
            "applied": True,
            "fault": None,
        }
        assert refused == {
            **said,
            "action": "updateBlockNumbers",
            "groupId": "nobody",
            "phones": [B],
            "expiryDate": None,
            "message": "Invalid group id",
            "http": 200,
            "applied": False,
            "fault": None,
        }
        assert (other["accessKey"], "vendor" in other) == (KEY, False)
        counts = {"createBlockNumber": 1, "updateBlockNumbers": 1, "updateGroup": 1}
        assert logged["by_action"] == counts | ({"generateToken": 1} if mode == "token" else {})


@in_every_mode
async def test_seeds(mode: str) -> None:
    """A seeded group is the API's to change, by its name as by its id."""
    async with Ozonetel(mode) as rig:
        seed = {**SEED, "groupId": 20, "description": "d", "userName": USER}
        reply = await rig.control("POST", "/_sandbox/groups", [seed, {"groupId": GROUP, "phones": [C]}])
        assert [group["groupId"] for group in reply.json["groups"]] == ["20", GROUP]
        assert (await rig.delete(20 if mode == "legacy" else "seeded", A)).json["output"]["deleted"] == 1
        assert await rig.phones("seeded") == [B]
        assert await rig.members() == [C]
        assert (await rig.create(A)).json["output"]["lastInsertId"] == 21


async def test_a_seed_replaces() -> None:
    """A group of the same name, or of the same id, is gone."""
    async with Ozonetel() as rig:
        await rig.control("POST", "/_sandbox/groups", {**SEED, "groupId": 3})
        await rig.control("POST", "/_sandbox/groups", {**SEED, "phones": [C]})
        assert await rig.phones("seeded") == [C]
        await rig.control("POST", "/_sandbox/groups", {**SEED, "groupName": "other", "groupId": 4})
        assert await rig.phones("seeded") is None
        assert await rig.phones("other") == [A, B]


@pytest.mark.parametrize(
    ("method", "path", "body", "why"),
    [
        ("POST", "groups", {**SEED, "vendor": "acme"}, "vendor: must be nxcloud or ozonetel"),
        ("POST", "groups", [SEED, {**SEED, "groupName": "x"}], "groups[1].groupName: "),
        ("POST", "groups", {**SEED, "groupId": "g"}, "groups[0].groupId: "),
        ("POST", "groups", {**SEED, "userName": "nobody"}, "userName: must be one of sandbox"),
        ("POST", "groups", [SEED, {"groupId": "a b", "phones": []}], "groupId"),
        ("GET", "groups?vendor=acme", None, "vendor: must be nxcloud or ozonetel"),
        ("GET", "groups?userName=nobody", None, "userName: must be one of sandbox"),
        ("POST", "credentials", {"vendor": "acme", "secret": "s"}, "vendor: must be nxcloud or ozonetel"),
        ("POST", "credentials", {"vendor": "ozonetel", "secret": "s"}, "apiKey: Field required"),
        ("POST", "credentials", {"vendor": "ozonetel", "apiKey": ""}, "apiKey: "),
        ("POST", "credentials", {"vendor": "ozonetel", "apiKey": "k", "userName": "x"}, "userName: must be"),
    ],
)
async def test_bad_input(method: str, path: str, body: Any, why: str) -> None:
    """It is 400 with JSON that says what is wrong, and changes nothing."""
    async with Ozonetel() as rig:
        reply = await rig.control(method, f"/_sandbox/{path}", body)
        assert reply.status == 400
        assert reply.json["error"].startswith(why)
        assert (await rig.control("GET", "/_sandbox/groups")).json["total"] == 0
        assert (await rig.create(A)).status == 200


@in_every_mode
@pytest.mark.parametrize("overlap", [False, True])
async def test_rotation(mode: str, overlap: bool) -> None:
    """Another API key is good from now on; the old one, and its token, only in an overlap."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A)
        rotation = {"vendor": "ozonetel", "apiKey": "second", "overlap": overlap}
        shown = await rig.control("POST", "/_sandbox/credentials", rotation)
        assert shown.json["credentials"] == [
            {"accessKey": KEY, "customer": KEY, "secrets": 1},
            {"vendor": "ozonetel", "userName": USER, "customer": USER, "apiKeys": 2 if overlap else 1},
        ]
        assert (await rig.add(group, B)).status == (200 if overlap else 401)
        rig.key = "second"
        if mode == "token" and not overlap:
            rig.token = (await rig.make_token()).json["token"]
        assert (await rig.add(group, C)).status == 200
        await rig.control("POST", "/_sandbox/reset")
        rig.key = API_KEY
        assert (await rig.make_token()).status == 200


async def test_another_user_name() -> None:
    """The groups stay the customer's."""
    async with Ozonetel("legacy") as rig:
        group = await rig.created(A)
        rotation = {"vendor": "ozonetel", "apiKey": "second", "newUserName": "renamed"}
        await rig.control("POST", "/_sandbox/credentials", rotation)
        assert (await rig.add(group, B)).status == 401
        rig.user, rig.key = "renamed", "second"
        assert (await rig.add(group, B)).status == 200
        assert await rig.phones() == [A, B]


async def test_reset() -> None:
    """Afterwards there are no groups and no tokens, and ids begin anew."""
    async with Ozonetel("token", tokens_an_hour=1) as rig:
        await rig.created(A)
        await rig.control("POST", "/_sandbox/reset")
        assert (await rig.control("GET", "/_sandbox/groups")).json["total"] == 0
        assert (await rig.create(A)).status == 401
        rig.token = (await rig.make_token()).json["token"]
        assert (await rig.create(A)).json["output"]["lastInsertId"] == 1


def _kinds() -> dict[str, Any]:
    return {model.model_fields["kind"].default: model for model in get_args(Fault)}


def _section(kind: str) -> str:
    found = re.search(rf"^  {kind} +(.*?)(?=^  \w+ {{2}}|^\S|^$)", HELP, flags=re.DOTALL | re.MULTILINE)
    assert found, f"the help does not name {kind}"
    return found[0]


@pytest.mark.parametrize("kind", sorted(_kinds()))
def test_the_help_explains_every_fault(kind: str) -> None:
    """It names all fields of a kind, and has an example that is accepted as it stands."""
    section = _section(kind)
    common = set(_kinds()["drop"].model_fields)
    for field in set(_kinds()[kind].model_fields) - common:
        assert re.search(rf"\b{field}: ", section), field
    examples = re.findall(r"^ +(\{.*\})$", section, flags=re.MULTILINE)
    assert examples
    for example in examples:
        (fault,) = read_faults(orjson.loads(example))
        assert fault.kind == kind


def test_the_help_names_what_is_common_to_faults() -> None:
    """Every filter, and every action that one can filter by."""
    for word in ("vendor", "groupId", "probability", "times", "action"):
        assert re.search(rf"\b{word}: ", HELP)
    for action in get_args(Action):
        assert action in HELP


async def test_the_help_can_be_pasted() -> None:
    """It is plain text that fits 110 columns, and it names both vendors' paths."""
    async with Ozonetel() as rig:
        text = (await rig.control("GET", "/")).body.decode()
        assert max(map(len, text.splitlines())) <= 110
        for word in ("/api/pns/", "/CAServicesV3/", "/ca_apis/", "generateToken", "/_sandbox/reset"):
            assert word in text
