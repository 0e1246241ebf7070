"""Every answer that Ozonetel documents, in each of its modes, over HTTP."""

from typing import Any

import pytest
from ozonetel_rig import (
    AUTHENTICATION_FAILED,
    DESCRIPTION,
    INVALID_GROUP,
    INVALID_NUMBERS,
    LEGACY,
    MANDATORY,
    MODES,
    NAME,
    SPELT,
    A,
    B,
    C,
    Ozonetel,
)

in_every_mode = pytest.mark.parametrize("mode", MODES)


@in_every_mode
async def test_create(mode: str) -> None:
    """The answer is the page's: `created`, what was asked, `lastInsertId`, and the numbers under `succes`."""
    async with Ozonetel(mode) as rig:
        reply = await rig.create(A, B, C)
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        assert reply.json == {
            "status": "success",
            "message": "created",
            "input": {"name": NAME, "description": DESCRIPTION, "blockNumbers": [A, B, C]},
            "output": {
                "affectedRows": 1,
                "lastInsertId": 1,
                "succes": [SPELT[A], SPELT[B], SPELT[C]],
                "error": [],
                "new": 3,
                "inserted": 3,
            },
        }
        assert await rig.phones() == [A, B, C]


@in_every_mode
async def test_update_adds(mode: str) -> None:
    """It adds, and counts who is new: a number that is in already, however it is written, is not."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A)
        reply = await rig.add(group, "91" + A, B)
        assert reply.status == 200
        assert reply.json == {
            "status": "success",
            "message": "updated",
            "input": {"id": 1, "blockNumbers": ["91" + A, B]},
            "output": {"succes": [SPELT[A], SPELT[B]], "error": [], "new": 1, "inserted": 1},
        }
        assert await rig.phones() == [A, B]


@in_every_mode
async def test_delete(mode: str) -> None:
    """The numbers are under `success`, spelt right this time; those that were in are counted, each once."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A, C)
        reply = await rig.delete(group, "91" + A, A, B)
        assert reply.status == 200
        assert reply.json == {
            "status": "success",
            "message": "deleted",
            "input": {"id": 1, "blockNumbers": ["91" + A, A, B]},
            "output": {"success": [SPELT[A], SPELT[A], SPELT[B]], "error": [], "deleted": 1},
        }
        assert await rig.phones() == [C]


async def test_other_paths_and_fields_that_the_pages_have() -> None:
    """The update's in the singular, the delete's with `Group` at its end, and `blockNumber`: all work."""
    async with Ozonetel() as rig:
        body = {"userName": rig.user, "groupName": await rig.created(A), "blockNumber": B}
        reply = await rig.request("PUT", "/ca_apis/updateBlockNumber", body, {"apiKey": rig.key})
        assert reply.json["message"] == "updated"
        reply = await rig.request("DELETE", "/ca_apis/deleteBlockNumberGroup", body, {"apiKey": rig.key})
        assert reply.json["message"] == "deleted"
        assert await rig.phones() == [A]


@in_every_mode
@pytest.mark.parametrize("wrong", ["user", "key", "token"])
async def test_authentication_failed(mode: str, wrong: str) -> None:
    """A wrong user name, API key or token is 401 with the page's words, and changes nothing."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A)
        setattr(rig, wrong, "no")
        replies = [await rig.create(B, name="other"), await rig.add(group, B), await rig.delete(group, A)]
        good = wrong == ("token" if mode != "token" else "key")
        for reply in replies:
            assert (reply.status, reply.json == AUTHENTICATION_FAILED) == (200 if good else 401, not good)
        if not good:
            assert await rig.phones() == [A]
            assert (await rig.last_call())["message"] == "Authentication failed"


@pytest.mark.parametrize("value", ["", "Basic", "Basic !!!", "Basic c2FuZGJveA==", "Bearer x", "Basic /w=="])
async def test_no_authorization_that_can_be_read(value: str) -> None:
    """Whatever stands in the legacy API's `Authorization`, the answer is the page's."""
    async with Ozonetel("legacy") as rig:
        reply = await rig.request("PUT", LEGACY, {}, {"Authorization": value})
        assert (reply.status, reply.json) == (401, AUTHENTICATION_FAILED)


@in_every_mode
@pytest.mark.parametrize("missing", ["name", "description", "blockNumbers"])
async def test_create_needs_its_parameters(mode: str, missing: str) -> None:
    """Without one of them nothing is made."""
    async with Ozonetel(mode) as rig:
        reply = (
            await rig.create(**{missing: None})
            if missing == "blockNumbers"
            else await rig.ask(
                "create",
                {"name": NAME, "description": DESCRIPTION, "blockNumbers": [A], missing: None},
            )
        )
        assert (reply.status, reply.json) == (200, MANDATORY)
        assert await rig.phones() is None


@in_every_mode
@pytest.mark.parametrize("operation", ["add", "delete"])
@pytest.mark.parametrize("missing", ["group", "numbers"])
async def test_changes_need_their_parameters(mode: str, operation: str, missing: str) -> None:
    """A change names a group and numbers, or is refused."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A)
        change = rig.add if operation == "add" else rig.delete
        reply = await (change("", B) if missing == "group" else change(group, blockNumbers=None))
        assert (reply.status, reply.json) == (200, MANDATORY)
        assert await rig.phones() == [A]


@pytest.mark.parametrize("mode", ["basic", "token"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", {"groupName": NAME, "blockNumbers": [A]}])
async def test_who_does_not_say_who_it_is(mode: str, body: Any) -> None:
    """The current API needs `userName` in a JSON body."""
    async with Ozonetel(mode) as rig:
        headers = {"apiKey": rig.key} if mode == "basic" else {"Authorization": f"Bearer {rig.token}"}
        reply = await rig.request("PUT", "/ca_apis/updateBlockNumbers", body, headers)
        assert (reply.status, reply.json) == (200, MANDATORY)


async def test_the_current_api_wants_json() -> None:
    """A body that is not declared as JSON is none, as its pages ask for the header."""
    async with Ozonetel() as rig:
        headers = {"apiKey": rig.key, "Content-Type": "text/plain"}
        body = {"userName": rig.user, "name": NAME, "description": DESCRIPTION, "blockNumbers": [A]}
        reply = await rig.request("POST", "/ca_apis/createBlockNumber", body, headers)
        assert reply.json == MANDATORY


@in_every_mode
@pytest.mark.parametrize("operation", ["add", "delete"])
@pytest.mark.parametrize("group", ["77", "nobody"])
async def test_invalid_group_id(mode: str, operation: str, group: str) -> None:
    """A group that there is not, be it a number or a text."""
    async with Ozonetel(mode) as rig:
        await rig.created(A)
        reply = await (rig.add(group, B) if operation == "add" else rig.delete(group, A))
        assert (reply.status, reply.json) == (200, INVALID_GROUP)
        assert await rig.phones() == [A]


async def test_a_legacy_id_may_be_a_text() -> None:
    """Its page does not say whether the id is a JSON number: both do."""
    async with Ozonetel("legacy") as rig:
        group = await rig.created(A)
        assert (await rig.add(str(group), B)).json["message"] == "updated"


@in_every_mode
@pytest.mark.parametrize("number", ["", "12", "98765x3210", "٩٨٧٦٥٤٣٢١٠", "9" * 16, "+", None, {}])
async def test_invalid_numbers(mode: str, number: Any) -> None:
    """One number of a wrong format has the whole call refused."""
    async with Ozonetel(mode) as rig:
        group = await rig.created(A)
        for reply in (await rig.create(B, number, name="other"), await rig.add(group, B, number)):
            assert (reply.status, reply.json) == (200, INVALID_NUMBERS)
        assert await rig.phones() == [A]


@in_every_mode
@pytest.mark.parametrize("field", ["name", "description"])
async def test_names_and_descriptions_have_2_to_50_characters(mode: str, field: str) -> None:
    """Both limits; what is wrong with a description is said of `name`, as on the page."""
    async with Ozonetel(mode) as rig:
        for n, text in enumerate(("X", "X" * 51)):
            reply = await rig.ask(
                "create", {"name": NAME, "description": DESCRIPTION, "blockNumbers": [A], field: text}
            )
            said = {"name": f"Name ({text}) allows 2 to 50 characters only"}
            assert reply.json == {"status": "error", "message": "invalid data", "errors": said}, n
        for text in ("XY", "X" * 50):
            body = {"name": text, "description": DESCRIPTION, "blockNumbers": [A], field: text}
            assert (await rig.ask("create", body)).json["message"] == "created"


@in_every_mode
async def test_a_hundred_numbers_a_call(mode: str) -> None:
    """A hundred are taken by every operation, and one more by none."""
    numbers = [str(9_800_000_000 + n) for n in range(101)]
    async with Ozonetel(mode) as rig:
        group = await rig.created(*numbers[:100])
        for reply in (
            await rig.create(*numbers, name="other"),
            await rig.add(group, *numbers),
            await rig.delete(group, *numbers),
        ):
            assert (reply.json["status"], reply.json["message"]) == ("error", "invalid data")
        assert await rig.phones() == numbers[:100]
        assert (await rig.add(group, *numbers[:100])).json["output"]["new"] == 0
        assert (await rig.delete(group, *numbers[:100])).json["output"]["deleted"] == 100


@in_every_mode
async def test_several_numbers_in_one_string(mode: str) -> None:
    """They are no number: they land in `output.error` under a success, as the page's example of a create."""
    async with Ozonetel(mode) as rig:
        reply = await rig.create(f"{A},{B}", C)
        assert reply.json["status"] == "success"
        assert (reply.json["output"]["succes"], reply.json["output"]["error"]) == ([SPELT[C]], [f"{A},{B}"])
        assert await rig.phones() == [C]


async def test_numbers_as_one_text() -> None:
    """The token page shows them so, and a legacy one calls the field `blockNumber`."""
    async with Ozonetel("legacy") as rig:
        body = {"name": NAME, "description": DESCRIPTION, "blockNumber": f"{A},{B}"}
        assert (await rig.ask("create", body)).json["output"]["succes"] == [SPELT[A], SPELT[B]]


@in_every_mode
async def test_a_name_is_taken_once(mode: str) -> None:
    """A second group of the name is refused, for its name is what one knows a group by."""
    async with Ozonetel(mode) as rig:
        await rig.created(A)
        assert (await rig.create(B)).json["message"] == "invalid data"
        assert await rig.phones() == [A]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", LEGACY, 405),
        ("POST", "/ca_apis/updateBlockNumbers", 405),
        ("PUT", "/ca_apis/createBlockNumber", 405),
        ("GET", "/ca_apis/CAToken/generateToken", 405),
        ("DELETE", "/ca_apis/deleteGroup", 404),
        ("POST", "/ca_apis/", 404),
    ],
)
async def test_what_the_vendor_does_not_have(method: str, path: str, status: int) -> None:
    """Another method or path is an error that cannot pass for a success, and never a call of NXCloud's."""
    async with Ozonetel() as rig:
        reply = await rig.request(method, path, {"userName": rig.user}, {"apiKey": rig.key})
        assert (reply.status, reply.json["status"]) == (status, "error")
        logged = await rig.last_call()
        assert (logged["vendor"], logged["action"]) == ("ozonetel", "unknown")
