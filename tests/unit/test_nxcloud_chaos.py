"""NXCloud's answers at random: whatever comes, it is one of the outcomes that the engine knows."""

import math
from typing import Any, get_args

import orjson
from hypothesis import example, given
from hypothesis import strategies as st
from nxcloud_answers import EVERY_KIND, SECRET, VENDOR

from worker.engine.model import Applied, CallKind, Group, Outcome, Throttled, Withheld
from worker.providers.port import Answer

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
    check(VENDOR.outcome(call, Answer(status, body, headers)))


@given(CALLS, STATUSES, HEADERS, ANSWERS | JSON)
def test_random_json(call: Any, status: int, headers: dict[str, str], content: Any) -> None:
    """No JSON does either, the nearer it comes to an answer the less."""
    got = VENDOR.outcome(call, Answer(status, orjson.dumps(content), headers))
    check(got)
    if isinstance(got, Applied):
        assert str(content["code"]).strip() == "0"
        assert (got.groups is not None) is (call.kind is CallKind.LIST)
        assert (got.group_id is not None) is (call.kind is CallKind.CREATE)
