"""Answers of Ozonetel as its pages show them, and what the provider makes of those."""

from typing import Any

import orjson

from numbergroup.engine.calls import Call, CallKind, Outcome
from numbergroup.vendors.ozonetel import Auth, Ozonetel
from numbergroup.vendors.ozonetel_api import CURRENT, LEGACY
from numbergroup.vendors.port import Answer, Credentials

KEY = "KK5f3cc1a7e2"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJ1IjoibWUifQ.c2ln"
CREDENTIALS = Credentials("agent-user", KEY, TOKEN)
VENDOR_URL = "https://in1-ccaas-api.ozonetel.com"

TEN, TWELVE, ABROAD = "9876543210", "919876543211", "85211111114"
SENT = (TEN, TWELVE, ABROAD)
COMES_BACK = ("+919876543210", "+919876543211", "+85211111114")

CREATE = Call(CallKind.CREATE, SENT, group_name="night shift", remark="of the night")
ADD = Call(CallKind.ADD, SENT, "20")
DELETE = Call(CallKind.DELETE, SENT, "20")
EVERY_KIND = (CREATE, ADD, DELETE)

MODES: tuple[Auth, ...] = ("legacy", "basic", "token")
VENDORS = {auth: Ozonetel(auth=auth, api=LEGACY if auth == "legacy" else CURRENT) for auth in MODES}

SUCCESSES: dict[CallKind, dict[str, Any]] = {
    CallKind.CREATE: {
        "status": "success",
        "message": "created",
        "input": {"name": "XXXX", "description": "XXXX", "blockNumbers": list(SENT)},
        "output": {"affectedRows": 1, "lastInsertId": 20, "succes": list(COMES_BACK), "error": []},
    },
    CallKind.ADD: {
        "status": "success",
        "message": "updated",
        "input": {"id": 20, "blockNumbers": list(SENT)},
        "output": {"succes": list(COMES_BACK), "error": [], "new": 3, "inserted": 3},
    },
    CallKind.DELETE: {
        "status": "success",
        "message": "deleted",
        "input": {"id": 20, "blockNumbers": list(SENT)},
        "output": {"success": list(COMES_BACK), "error": [], "deleted": 3},
    },
}
"""The vendor spells it `succes` but for deletions."""


def naming(call: Call, error: Any, taken: Any = ()) -> dict[str, Any]:
    """The success of `call`, but for what `error` names."""
    said = SUCCESSES[call.kind]
    spelt = "success" if call.kind is CallKind.DELETE else "succes"
    return {**said, "output": {**said["output"], spelt: taken, "error": error}}


def outcome(call: Call, content: Any, status: int = 200, auth: Auth = "basic", **headers: str) -> Outcome:
    """What `content` means: bytes as they are, anything else as JSON. `retry_after` is that header."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return VENDORS[auth].parse_answer(call, Answer(status, body, named), CREDENTIALS)
