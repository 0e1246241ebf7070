"""What every call of the vendor's API has in common: headers, signature, clock, codes, shapes."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from test_sandbox_rig import GROUP, A, B, C, Rig

LIST = {"limit": 10, "offset": 0}
UPDATE = {"groupId": GROUP, "operateType": 0, "phones": A}


async def test_answers_have_the_vendors_shape() -> None:
    """Fields, their types and their order are those of the vendor's examples."""
    async with Rig() as rig:
        created = (
            await rig.call("createGroup", {"phones": f"{A},{B}", "groupName": "g", "remark": "r"})
        ).json
        assert list(created) == ["code", "msg", "requestId", "groupId"]
        assert created["code"] == 0
        assert created["msg"] == "success"
        assert len(created["groupId"]) == 19
        assert created["groupId"].isalnum()
        assert created["groupId"] == created["groupId"].lower()
        updated = await rig.update(0, A, created["groupId"])
        assert list(updated.json) == ["code", "msg", "requestId"]
        assert updated.headers["Content-Type"] == "application/json"
        listed = (await rig.call("listGroup", LIST)).json
        assert list(listed) == ["code", "msg", "requestId", "data"]
        assert listed["data"] == {
            "groups": [
                {
                    "customerId": "cus_1",
                    "groupName": "g",
                    "groupId": created["groupId"],
                    "phones": f"{A},{B}",
                    "remark": "r",
                }
            ],
            "total": 1,
        }
        deleted = await rig.call("deleteGroup", {"groupId": created["groupId"]})
        assert list(deleted.json) == ["code", "msg", "requestId"]


async def test_request_ids_grow_whatever_the_clock_does() -> None:
    """A requestId is a string of 19 digits, greater than all before it, even when the clock steps back."""
    async with Rig() as rig:
        ids = []
        for step_ms in (0, 0, 5, -3_600_000, 1, -1_700_000_000_000):
            rig.now_ms = max(0, rig.now_ms + step_ms)
            ids.append((await rig.update(0, A)).json["requestId"])
        assert all(len(request_id) == 19 and request_id.isdigit() for request_id in ids)
        assert ids == sorted(set(ids))
        assert (await rig.control("POST", "/_sandbox/reset")).status == 200
        assert (await rig.update(0, A)).json["requestId"] > ids[-1]


@pytest.mark.parametrize("algorithm", [None, "md5", "sha256"])
async def test_both_algorithms(algorithm: str | None) -> None:
    """A body is accepted under md5 (also without the header) and under sha256, non-ASCII included."""
    async with Rig() as rig:
        body = {"phones": A, "groupName": "牛小信"}
        assert (await rig.call("createGroup", body, algorithm=algorithm)).code == 0


@pytest.mark.parametrize(
    "how",
    [
        {"secret": "another"},
        {"sign": "0" * 32},
        {"sign": "\u00e9"},
        {"algorithm": "sha1"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
async def test_1003_invalid_signature(how: dict[str, Any]) -> None:
    """A wrong secret, sign, algorithm or content type is 1003, with HTTP 200, and nothing is applied."""
    async with Rig() as rig:
        reply = await rig.update(0, A, **how)
        assert (reply.status, reply.code) == (200, 1003)
        assert reply.json["requestId"]
        assert await rig.members() is None


async def test_the_exact_bytes_are_signed() -> None:
    """The same JSON with other spaces than were signed is 1003; as it was signed, it is accepted."""
    async with Rig() as rig:
        spaced = b'{"groupId": "g", "operateType": 0, "phones": "852"}'
        right = rig.headers("updateGroup", spaced)["sign"]
        assert (await rig.call("updateGroup", spaced)).code == 0
        assert (await rig.call("updateGroup", spaced.replace(b" ", b""), sign=right)).code == 1003


async def test_the_algorithm_is_not_signed_but_must_match() -> None:
    """A digest of one algorithm under the other's name is 1003."""
    async with Rig() as rig:
        sign = rig.headers("listGroup", b"{}")["sign"]
        assert (await rig.call("listGroup", b"{}", algorithm="sha256", sign=sign)).code == 1003


@pytest.mark.parametrize("name", ["accessKey", "action", "bizType", "ts", "sign"])
async def test_1001_missing_common_parameters(name: str) -> None:
    """Each of the five headers is needed; an empty one is a missing one. The answer names it."""
    async with Rig() as rig:
        for value in (None, ""):
            reply = await rig.call("updateGroup", UPDATE, **{name: value})
            assert (reply.status, reply.code) == (200, 1001)
            assert name in reply.json["msg"]


async def test_1005_wrong_access_key() -> None:
    """An access key that nobody has is 1005, whatever bytes it is of."""
    async with Rig() as rig:
        assert (await rig.update(0, A, key="nobody")).code == 1005
        reply = await rig.call("updateGroup", UPDATE, accessKey="\u725b" * 100)
        assert reply.code == 1005
        assert (await rig.last_call())["accessKey"].isascii()


@pytest.mark.parametrize(("skew_ms", "code"), [(60_000, 0), (-60_000, 0), (60_001, 1004), (-60_001, 1004)])
async def test_1004_timestamp_window(skew_ms: int, code: int) -> None:
    """A `ts` within 60,000 ms of the vendor's clock is accepted, one beyond is 1004, in both directions."""
    async with Rig() as rig:
        assert (await rig.update(0, A, ts=str(rig.now_ms + skew_ms))).code == code


@pytest.mark.parametrize(("skew_ms", "code"), [(1_500, 0), (-1_500, 0), (1_501, 1004), (-1_501, 1004)])
async def test_1004_another_window(skew_ms: int, code: int) -> None:
    """How long a signature lasts can be set, so that tests need not wait for a minute."""
    async with Rig(signature_lasts_s=1.5) as rig:
        assert (await rig.update(0, A, ts=str(rig.now_ms + skew_ms))).code == code


@pytest.mark.parametrize("ts", ["now", "-1", "1.7e12", "٣", "9" * 5000])
async def test_1004_what_is_no_timestamp(ts: str) -> None:
    """A `ts` that is no decimal number is 1004."""
    async with Rig() as rig:
        assert (await rig.update(0, A, ts=ts)).code == 1004


async def test_date_header_tells_the_vendors_clock() -> None:
    """`Date` follows the vendor's clock, so that a client can measure its skew by it."""
    async with Rig() as rig:
        for _ in range(2):
            date = (await rig.update(0, A, ts="1")).headers["Date"]
            assert parsedate_to_datetime(date).timestamp() == rig.now_ms // 1000
            rig.now_ms += 3_600_000


@pytest.mark.parametrize(
    "how", [{"bizType": "1"}, {"bizType": "05"}, {"action": "renameGroup"}, {"action": "é"}]
)
async def test_1002_biz_type_and_action(how: dict[str, str]) -> None:
    """A `bizType` other than 5 and an unknown action are 1002."""
    async with Rig() as rig:
        assert (await rig.call("updateGroup", UPDATE, **how)).code == 1002


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"groupId": "g", "operateType": NaN, "phones": "852"}',
        {},
        {**UPDATE, "groupId": None},
        {**UPDATE, "groupId": 7},
        {**UPDATE, "groupId": ""},
        {**UPDATE, "groupId": "a\r\nb"},
        {**UPDATE, "groupId": "x" * 129},
        {**UPDATE, "operateType": "0"},
        {**UPDATE, "operateType": True},
        {**UPDATE, "operateType": 0.0},
        {**UPDATE, "operateType": 3},
        {**UPDATE, "operateType": -1},
        {**UPDATE, "operateType": None},
        {**UPDATE, "phones": None},
        {**UPDATE, "phones": ""},
        {**UPDATE, "phones": ","},
        {**UPDATE, "phones": f"{A},"},
        {**UPDATE, "phones": f"{A},,{B}"},
        {**UPDATE, "phones": f"{A}, {B}"},
        {**UPDATE, "phones": "+85211111114"},
        {**UPDATE, "phones": "８５２"},
        {**UPDATE, "phones": "٣٤٥"},
        {**UPDATE, "phones": "852\u200b"},
        {**UPDATE, "phones": 85211111114},
        {**UPDATE, "phones": [A]},
    ],
)
async def test_1002_update_body(body: Any) -> None:
    """No object, a missing field, or one of the wrong type or content is 1002 and changes nothing."""
    async with Rig() as rig:
        reply = await rig.call("updateGroup", body)
        assert (reply.status, reply.code) == (200, 1002)
        assert reply.json["msg"].startswith("parameter error")
        assert (await rig.control("GET", "/_sandbox/groups")).json["total"] == 0


@pytest.mark.parametrize(
    ("action", "body", "code"),
    [
        ("createGroup", {}, 1002),
        ("createGroup", {"phones": ""}, 1002),
        ("createGroup", {"phones": A, "groupName": 7}, 1002),
        ("createGroup", {"phones": A, "remark": []}, 1002),
        ("createGroup", {"phones": A, "remark": None, "more": 1}, 0),
        ("deleteGroup", {}, 1002),
        ("deleteGroup", {"groupId": 1}, 1002),
        ("listGroup", {}, 1002),
        ("listGroup", {"limit": 1}, 1002),
        ("listGroup", {"limit": "1", "offset": 0}, 1002),
        ("listGroup", {"limit": 1, "offset": False}, 1002),
        ("listGroup", {"limit": 1001, "offset": 0}, 10011),
        ("listGroup", {"limit": -1, "offset": 0}, 10011),
        ("listGroup", {"limit": 1000, "offset": -1}, 10012),
        ("listGroup", {"limit": 1000, "offset": 2**63}, 0),
        ("listGroup", {"limit": 0, "offset": 0}, 0),
    ],
)
async def test_codes_of_the_other_actions(action: str, body: Any, code: int) -> None:
    """Wrong fields are 1002, a `limit` out of range 10011, an `offset` 10012; unknown fields are ignored."""
    async with Rig() as rig:
        assert (await rig.call(action, body)).code == code


async def test_any_other_path_is_the_api() -> None:
    """A POST to any path that does not begin with /_sandbox is the API: the vendor has moved it before."""
    async with Rig() as rig:
        for path in ("/", "/api/pns", "/v1/api/pns/"):
            assert (await rig.call("updateGroup", UPDATE, url=rig.sandbox.origin + path)).code == 0
        assert (await rig.control("GET", "/api/pns/")).status == 405


async def test_rotated_secret() -> None:
    """After a rotation the old secret is 1003 and the new one is accepted; only a known key can rotate."""
    async with Rig() as rig:
        rig.sandbox.state.rotate("sandbox-key", "new")
        assert (await rig.update(0, A)).code == 1003
        assert (await rig.update(0, A, secret="new")).code == 0
        with pytest.raises(KeyError):
            rig.sandbox.state.rotate("nobody", "new")


async def test_an_overlap_of_secrets() -> None:
    """With an overlap both secrets are accepted, until the next rotation without one."""
    async with Rig() as rig:
        rotation = {"secret": "new", "overlap": True}
        assert (await rig.control("POST", "/_sandbox/credentials", rotation)).status == 200
        assert [(await rig.update(0, A, secret=one)).code for one in ("new", "sandbox-secret")] == [0, 0]
        await rig.control("POST", "/_sandbox/credentials", {"secret": "new"})
        assert [(await rig.update(0, A, secret=one)).code for one in ("new", "sandbox-secret")] == [0, 1003]


@pytest.mark.parametrize(("overlap", "code"), [(True, 0), (False, 1005)])
async def test_another_access_key(overlap: bool, code: int) -> None:
    """A customer may get another key as well, and keeps its groups; in an overlap the old one is good."""
    async with Rig() as rig:
        await rig.update(0, A)
        rotation = {"secret": "new", "newAccessKey": "k2", "overlap": overlap}
        shown = await rig.control("POST", "/_sandbox/credentials", rotation)
        assert {"accessKey": "k2", "customer": "sandbox-key", "secrets": 1} in shown.json["credentials"]
        assert shown.json == (await rig.control("GET", "/_sandbox/credentials")).json
        assert (await rig.update(0, B, key="k2", secret="new")).code == 0
        assert await rig.members() == [A, B]
        assert (await rig.update(0, C)).code == code


@pytest.mark.parametrize(
    ("rotation", "error"),
    [
        ({}, "secret: Field required"),
        ([], "body: Input should be a valid dictionary or instance of Rotation"),
        ({"secret": "a b"}, "secret: String should match pattern"),
        ({"secret": "s", "overlap": 1}, "overlap: Input should be a valid boolean"),
        ({"secret": "s", "key": "k"}, "key: Extra inputs are not permitted"),
        ({"secret": "s"}, "accessKey: name one of k1, k2"),
        ({"secret": "s", "accessKey": "k3"}, "accessKey: must be one of k1, k2"),
        (
            {"secret": "s", "accessKey": "k1", "newAccessKey": "k2"},
            "the new key or user name k2 is another customer's",
        ),
    ],
)
async def test_a_rotation_that_is_none(rotation: Any, error: str) -> None:
    """Bad input gets 400 and why, and changes nothing."""
    async with Rig(credentials={"k1": "s1", "k2": "s2"}) as rig:
        before = (await rig.control("GET", "/_sandbox/credentials")).json
        reply = await rig.control("POST", "/_sandbox/credentials", rotation)
        assert reply.status == 400
        assert reply.json["error"].startswith(error)
        assert (await rig.control("GET", "/_sandbox/credentials")).json == before


async def test_half_a_request_is_no_call(caplog: pytest.LogCaptureFixture) -> None:
    """A client that dies in the middle of its body has called nothing, and the sandbox does not mind."""
    async with Rig() as rig:
        _, writer = await asyncio.open_connection("127.0.0.1", rig.sandbox.port)
        writer.write(b"POST /api/pns/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await rig.update(0, A)).code == 0
        assert (await rig.control("GET", "/_sandbox/calls")).json["total"] == 1
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
