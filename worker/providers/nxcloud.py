"""NXCloud's privacy number service (PNS): number groups.

Sources: the vendor's pages "Create / Update / Query Number Group", its error-code page and its page on
the signature. What those leave open (rate limits, unknown codes) is a setting of the account.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from worker.engine.model import (
    Applied,
    Call,
    CallKind,
    Command,
    CommandKind,
    Fault,
    Group,
    Outcome,
    Unavailable,
)
from worker.providers.answers import BadAnswer, identifier, json_object, scrubbed, whole_number
from worker.providers.classes import Classes, FailureClass
from worker.providers.port import Answer, Capabilities, Credentials, Request
from worker.providers.signature import Algorithm, sign

BIZ_TYPE = "5"
_ACTIONS = {
    CallKind.CREATE: "createGroup",
    CallKind.ADD: "updateGroup",
    CallKind.DELETE: "updateGroup",
    CallKind.REPLACE: "updateGroup",
    CallKind.DELETE_GROUP: "deleteGroup",
    CallKind.LIST: "listGroup",
}
_LONGEST_CODE = 32
_LONGEST_REQUEST_ID = 128
_OPERATE_TYPES = {CallKind.ADD: 0, CallKind.DELETE: 1, CallKind.REPLACE: 2}


CLASSES = Classes(
    {
        "1001": FailureClass.ACCOUNT_FAULT,  # missing common parameters: our headers are wrong
        "1002": FailureClass.REFUSED,  # parameter error
        "1003": FailureClass.ACCOUNT_FAULT,  # invalid signature
        "1004": FailureClass.RETRYABLE,  # timestamp expired
        "1005": FailureClass.ACCOUNT_FAULT,  # insufficient permissions, or a wrong accessKey
        "10003": FailureClass.ACCOUNT_FAULT,  # user does not exist
        "10004": FailureClass.REFUSED,  # country code mismatch
        "10009": FailureClass.RETRYABLE,  # failed to retrieve data
        "10011": FailureClass.REFUSED,  # limit out of range
        "10012": FailureClass.REFUSED,  # offset out of range
    }
)
"""The codes of the vendor's page; what they say about trying again is inferred, and a setting."""


CAPABILITIES = Capabilities(frozenset(CommandKind), 1000)
"""How many numbers a call may have is not documented."""


@dataclass(slots=True, frozen=True)
class NXCloud:
    """See `worker.providers.port.Provider`. The credentials are the account's access key and its secret."""

    base_url: str
    algorithm: Algorithm = "md5"
    classes: Classes = CLASSES
    capabilities: Capabilities = CAPABILITIES
    acceptance_window_s: float = 60.0
    clock_codes: frozenset[str] = frozenset({"1004"})
    credential_codes: frozenset[str] = frozenset({"1003", "1005", "10003", "http-401", "http-403"})

    def objection(self, _: Command, /) -> Fault | None:
        """None: the vendor documents no limits of names or remarks."""
        return None

    def request(self, call: Call, wall_ms: int, credentials: Credentials) -> Request:
        action, ts = _ACTIONS[call.kind], str(wall_ms)
        body = orjson.dumps(_body(call))
        signature = sign(
            access_key=credentials.name,
            action=action,
            biz_type=BIZ_TYPE,
            ts=ts,
            body=body,
            secret=credentials.secret,
            algorithm=self.algorithm,
        )
        headers = {
            "Content-Type": "application/json",
            "accessKey": credentials.name,
            "action": action,
            "bizType": BIZ_TYPE,
            "ts": ts,
            "sign": signature,
        }
        if self.algorithm != "md5":
            headers["algorithm"] = self.algorithm
        return Request("POST", self.base_url, headers, body)

    def outcome(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        # Whatever the HTTP status: the vendor's own verdict, if there is one, is in the body.
        content = json_object(answer.body)
        code = None if content is None else identifier(content.get("code"), _LONGEST_CODE)
        if content is None or code is None:
            return self.classes.silence(call, answer)
        request_id = identifier(content.get("requestId"), _LONGEST_REQUEST_ID)
        if code == "0":
            try:
                return _success(call, content, request_id)
            except BadAnswer as error:
                return Unavailable(f"a success that cannot be understood: {error}", in_doubt=True, code=code)
        said = content.get("msg")
        text = said if isinstance(said, str) else ""
        return self.classes.verdict(answer, code, text, scrubbed(text, credentials.secret), request_id)


def _body(call: Call) -> dict[str, Any]:
    phones = ",".join(call.numbers)
    match call.kind:
        case CallKind.CREATE:
            body: dict[str, Any] = {"phones": phones}
            if call.group_name is not None:
                body["groupName"] = call.group_name
            if call.remark is not None:
                body["remark"] = call.remark
            return body
        case CallKind.ADD | CallKind.DELETE | CallKind.REPLACE:
            return {"groupId": call.group_id, "operateType": _OPERATE_TYPES[call.kind], "phones": phones}
        case CallKind.DELETE_GROUP:
            return {"groupId": call.group_id}
        case CallKind.LIST | CallKind.FIND_CREATED | CallKind.READ_MEMBERS:
            return {"limit": call.limit, "offset": call.offset}


def _success(call: Call, content: dict[str, Any], request_id: str | None) -> Applied:
    if call.kind is CallKind.CREATE:
        data = content.get("data")
        group_id = content.get("groupId") or (data.get("groupId") if isinstance(data, dict) else None)
        if not isinstance(group_id, str):
            raise BadAnswer("no groupId")
        return Applied(request_id, group_id)
    if call.kind is not CallKind.LIST:
        return Applied(request_id)
    data = content.get("data")
    if not isinstance(data, dict):
        raise BadAnswer("no data")
    rows = data.get("groups")
    if rows is None:
        rows = []
    if not isinstance(rows, list):
        raise BadAnswer("groups is not an array")
    return Applied(
        request_id, groups=tuple(_group(row) for row in rows), total=whole_number(data.get("total"))
    )


def _group(row: Any) -> Group:
    group_id = row.get("groupId") if isinstance(row, dict) else None
    if not isinstance(group_id, str) or not group_id:
        raise BadAnswer("a group without groupId")
    phones = row.get("phones")
    if phones is None:
        phones = ""
    if not isinstance(phones, str):
        raise BadAnswer("phones is not a string")
    numbers = tuple(number.strip() for number in phones.split(",") if number.strip())
    name, remark = row.get("groupName"), row.get("remark")
    return Group(
        group_id,
        name if isinstance(name, str) else "",
        remark if isinstance(remark, str) else "",
        numbers,
    )
