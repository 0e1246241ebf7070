"""The common parts of NXCloud's PNS API: headers, signature, codes, and the format of answers. Pure.

Sources: the vendor's pages "Update", "Create" and "Query Number Groups", its "API call agreement" for the
signature, its list of error codes. They do not document the order of the checks, which is a choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from numbergroup.vendors.signature import Algorithm, sign

ACTIONS = frozenset({"createGroup", "updateGroup", "listGroup", "deleteGroup"})
BIZ_TYPE = "5"

MESSAGES: Mapping[int, str] = {
    1001: "missing common parameters",
    1002: "parameter error",
    1003: "invalid signature",
    1004: "timestamp expired",
    1005: "insufficient permissions or wrong accessKey",
    10003: "user does not exist",
    10004: "country code mismatch",
    10009: "failed to retrieve data",
    10011: "limit out of range",
    10012: "offset out of range",
}

_ALGORITHMS: Mapping[str, Algorithm] = {"md5": "md5", "sha256": "sha256"}
_COMMON_PARAMETERS = ("accessKey", "action", "bizType", "ts", "sign")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with a code other than 0. The vendor sends it with HTTP 200."""

    code: int
    msg: str


def make_refusal(code: int, detail: str = "") -> Refusal:
    """Returns a refusal with the vendor's text for `code`, followed by `detail`."""
    msg = MESSAGES.get(code, "unknown error")
    return Refusal(code, f"{msg}: {detail}" if detail else msg)


def authenticate(
    headers: Mapping[str, str],
    body: bytes,
    credentials: Mapping[str, Sequence[str]],
    now_ms: int,
    lasts_s: float,
) -> Refusal | None:
    """Checks the common headers, and returns a refusal, or None if they are accepted.

    The codes are checked in this order: 1001, 1005, 1002 (bizType, action), 1004, 1003. `headers` must be
    case-insensitive. `credentials` maps an access key to its accepted secrets. A signature is valid for
    `lasts_s` seconds.
    """
    missing = [name for name in _COMMON_PARAMETERS if not headers.get(name)]
    if missing:
        return make_refusal(1001, ", ".join(missing))
    access_key, action, ts = headers["accessKey"], headers["action"], headers["ts"]
    secrets = credentials.get(access_key)
    if secrets is None:
        return make_refusal(1005)
    if headers["bizType"] != BIZ_TYPE:
        return make_refusal(1002, f"bizType must be {BIZ_TYPE}")
    if action not in ACTIONS:
        return make_refusal(1002, "unknown action")
    if not is_in_time(ts, now_ms, lasts_s):
        return make_refusal(1004)
    # The vendor's page on code 1003 names a wrong content type among its causes.
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        return make_refusal(1003, "Content-Type must be application/json")
    algorithm = _ALGORITHMS.get(headers.get("algorithm", "md5"))
    if algorithm is None:
        return make_refusal(1003, "algorithm must be md5 or sha256")
    expected = (
        sign(
            access_key=access_key,
            action=action,
            biz_type=BIZ_TYPE,
            ts=ts,
            body=body,
            secret=secret,
            algorithm=algorithm,
        )
        for secret in secrets
    )
    return None if headers["sign"] in expected else make_refusal(1003)


def is_in_time(ts: str, now_ms: int, lasts_s: float) -> bool:
    """Whether `ts` (decimal Unix ms) differs from the clock by at most `lasts_s` seconds."""
    if not (ts.isascii() and ts.isdigit() and len(ts) <= 15):
        return False
    return abs(int(ts) - now_ms) <= lasts_s * 1000


def encode_answer(
    code: int,
    msg: str,
    request_id: str,
    extra: Mapping[str, Any] | None = None,
    *,
    code_as_string: bool = False,
) -> bytes:
    """Returns the answer as JSON: `code`, `msg`, `requestId`, and the action's `groupId` or `data`."""
    encoded_code: int | str = str(code) if code_as_string else code
    return orjson.dumps({"code": encoded_code, "msg": msg, "requestId": request_id, **(extra or {})})
