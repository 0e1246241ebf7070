"""Answers of NXCloud as the tests make them up, and what the provider makes of those."""

from typing import Any

import orjson

from numbergroup.engine.calls import Call, CallKind, Outcome
from numbergroup.vendors.classification import FailureClass, FailureClassifier
from numbergroup.vendors.nxcloud import CLASSES, NXCloud
from numbergroup.vendors.port import Answer, Credentials

SECRET = "abciiiko2k3"
GROUP = "6a7sd3402px21429s04"
REQUEST_ID = "1602248485121429504"

CREATE = Call(CallKind.CREATE, ("85211111114",))
ADD = Call(CallKind.ADD, ("85211111114",), GROUP)
DELETE_GROUP = Call(CallKind.DELETE_GROUP, group_id=GROUP)
LIST = Call(CallKind.LIST, limit=1000)
EVERY_KIND = (
    CREATE,
    ADD,
    Call(CallKind.DELETE, ("85211111114",), GROUP),
    Call(CallKind.REPLACE, ("85211111114",), GROUP),
    DELETE_GROUP,
    LIST,
)

CREDENTIALS = Credentials("sixgqophrnv4", SECRET)
VENDOR = NXCloud(
    "https://number.nxcloud.com/api/pns/",
    classes=FailureClassifier(
        CLASSES.codes,
        dict.fromkeys(("rate limit", "Too Many Requests"), FailureClass.THROTTLED),
    ),
)


def outcome(call: Call, content: Any, status: int = 200, **headers: str) -> Outcome:
    """What `content` means: bytes as they are, anything else as JSON. `retry_after` is that header."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return VENDOR.parse_answer(call, Answer(status, body, named), CREDENTIALS)


def said(code: Any, msg: str = "success", **more: Any) -> dict[str, Any]:
    """The common fields of an answer, and more."""
    return {"code": code, "msg": msg, "requestId": REQUEST_ID, **more}
