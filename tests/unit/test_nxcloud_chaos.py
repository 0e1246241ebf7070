"""NXCloud's answers at random: whatever comes, it is one of the outcomes that the engine knows."""

import math
import tracemalloc
from typing import Any, get_args

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import mutated
from nxcloud_answers import CREDENTIALS, EVERY_KIND, LIST, REQUEST_ID, SECRET, VENDOR, said
from profiles import examples

from numbergroup.engine.calls import Applied, CallKind, Group, Outcome, Throttled, Withheld
from numbergroup.vendors.port import Answer

OUTCOMES = tuple(kind for kind in get_args(Outcome) if kind is not Withheld)

CALLS = st.sampled_from(EVERY_KIND)
STATUSES = st.integers(100, 999)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date", "location"]), st.text(max_size=40))
JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["0", "85211111114,85235753351", SECRET]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["groupId", "groupName", "phones", "remark"]), JSON) | JSON, max_size=3
)
DATA = st.fixed_dictionaries({}, optional={"groups": ROWS | JSON, "total": JSON, "groupId": JSON})
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from([0, "0", 1002, 1003, 1004, 9999]) | JSON,
        "msg": JSON,
        "requestId": JSON,
        "groupId": JSON,
        "data": DATA | JSON,
    },
)


def check(got: Outcome) -> None:
    """The outcome's fields have the types that the engine counts on, and none of them has the secret."""
    assert isinstance(got, OUTCOMES)
    for name in ("request_id", "group_id", "code"):
        value = getattr(got, name, None)
        assert value is None or (isinstance(value, str) and value)
    assert isinstance(getattr(got, "message", ""), str)
    assert SECRET not in getattr(got, "message", "")
    if isinstance(got, Throttled):
        assert got.retry_after_s is None or 0.0 <= got.retry_after_s <= math.inf
    if isinstance(got, Applied) and got.groups is not None:
        assert all(isinstance(group, Group) and group.group_id for group in got.groups)


@given(CALLS, STATUSES, HEADERS, st.binary(max_size=300))
@example(EVERY_KIND[0], 200, {}, b'{"code":0,"groupId":"\\ud800"}')
@example(EVERY_KIND[0], 200, {}, b'{"code":' + b"9" * 4300 + b"}")
@example(EVERY_KIND[0], 200, {}, b'{"code":0,"requestId":-' + b"9" * 4300 + b"}")
@example(EVERY_KIND[0], 200, {}, b'{"a":' * 10_000)
@example(EVERY_KIND[0], 429, {"retry-after": "1 Jan 2020 00:00:00 +99999999999999999999"}, b"")
def test_random_bytes(call: Any, status: int, headers: dict[str, str], body: bytes) -> None:
    """No bytes, no status and no header make the provider raise or answer anything else."""
    check(VENDOR.parse_answer(call, Answer(status, body, headers), CREDENTIALS))


@given(CALLS, STATUSES, HEADERS, ANSWERS | JSON)
def test_random_json(call: Any, status: int, headers: dict[str, str], content: Any) -> None:
    """No JSON does either, the nearer it comes to an answer the less."""
    got = VENDOR.parse_answer(call, Answer(status, orjson.dumps(content), headers), CREDENTIALS)
    check(got)
    if isinstance(got, Applied):
        assert str(content["code"]).strip() == "0"
        assert (got.groups is not None) is (call.kind is CallKind.LIST)
        assert (got.group_id is not None) is (call.kind is CallKind.CREATE)


GROUPS = [
    {"groupId": "g-1", "groupName": "one", "phones": "85211111114,85235753351", "remark": "[ng:1]"},
    {"groupId": "g-2", "groupName": "", "phones": "", "remark": None},
]
ANSWERED = [
    orjson.dumps(said(0)),
    orjson.dumps(said("0", groupId="g-1")),
    orjson.dumps(said(0, data={"groups": GROUPS, "total": 2})),
    orjson.dumps(said(1002, f"parameter error: {SECRET} is not the secret for 85211111114")),
    orjson.dumps(said(1003, "invalid signature")),
    orjson.dumps(said(9999, "rate limit exceeded")),
]


@given(CALLS, st.sampled_from([200, 429, 500, 502, 503]), mutated(st.sampled_from(ANSWERED)))
@examples(500)
def test_answers_that_were_good_once(call: Any, status: int, body: bytes) -> None:
    """Whatever became of their bytes: an outcome, without a phone number in its message."""
    got = VENDOR.parse_answer(call, Answer(status, body), CREDENTIALS)
    check(got)
    assert "85211111114" not in getattr(got, "message", "")


HEAVY = {
    "arrays": b'{"code":' + b"[" * 500_000,
    "scalars": b'{"code":0,"data":{"groups":[' + b"1," * 500_000 + b"1]}}",
    "groups": b'{"code":0,"data":{"groups":[' + b'{"groupId":"a"},' * 60_000 + b'{"groupId":"a"}]}}',
    "numbers": b'{"code":0,"data":{"groups":[{"groupId":"a","phones":"' + b"1," * 500_000 + b'"}]}}',
    "a long message": b'{"code":1002,"msg":"' + b"1 " * 500_000 + b'"}',
    "a message of digits": b'{"code":1002,"msg":"' + b"1" * 1_000_000 + b'"}',
    "a message that is unprintable": b'{"code":1002,"msg":"' + "\u200b".encode() * 300_000 + b'"}',
    "a long requestId": b'{"code":0,"requestId":"' + "\u4e00".encode() * 300_000 + b'"}',
    "a long code": b'{"code":"' + "\u200b".encode() * 300_000 + b'"}',
    "members": b'{"code":0,' + b",".join(b'"k%d":1' % n for n in range(80_000)) + b"}",
    "empty objects": b'{"code":0,"data":[' + b"{}," * 300_000 + b"{}]}",
}


@pytest.mark.slow
@pytest.mark.parametrize("call", [LIST, EVERY_KIND[1]], ids=["list", "update"])
@pytest.mark.parametrize("body", HEAVY.values(), ids=HEAVY)
def test_a_megabyte_of_anything_is_bounded(call: Any, body: bytes) -> None:
    """Reading an answer takes no more than 40 times the memory that it came in."""
    tracemalloc.start()
    check(VENDOR.parse_answer(call, Answer(200, body), CREDENTIALS))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * len(body)


def test_a_request_id_is_cut_off() -> None:
    """What is stored of an id stays short, wherever its printable part is."""
    got = VENDOR.parse_answer(
        EVERY_KIND[1],
        Answer(200, orjson.dumps(said(0) | {"requestId": "\x07" * 999 + REQUEST_ID * 99})),
        CREDENTIALS,
    )
    assert isinstance(got, Applied)
    assert got.request_id == (REQUEST_ID * 99)[:128]
