"""NXCloud's privacy number service (PNS): number groups.

Sources: the vendor's pages "Create / Update / Query Number Group", its error-code page and its page on
the signature. What those leave open (rate limits, unknown codes) is a setting of the account.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import orjson

from worker.engine.model import (
    AccountFault,
    Applied,
    Call,
    CallKind,
    CommandKind,
    Group,
    Outcome,
    Refused,
    Throttled,
    Unavailable,
)
from worker.providers.answers import (
    BadAnswer,
    http_outcome,
    identifier,
    json_object,
    retry_after_s,
    scrubbed,
    whole_number,
)
from worker.providers.port import Answer, Request
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


@dataclass(slots=True, frozen=True)
class Codes:
    """Which of the vendor's codes mean what. `throttle_texts` are sought in `msg`, in any case."""

    retryable: Collection[str] = ("1004", "10009")
    account_fault: Collection[str] = ("1001", "1003", "1005", "10003")
    refused: Collection[str] = ("1002", "10004", "10011", "10012")
    throttle_texts: Collection[str] = ()


@dataclass(slots=True, frozen=True)
class NXCloud:
    """See `worker.providers.port.Provider`. `access_secret` is asked for at every signature."""

    base_url: str
    access_key: str
    access_secret: Callable[[], str]
    algorithm: Algorithm = "md5"
    codes: Codes = field(default_factory=Codes)
    supports: frozenset[CommandKind] = frozenset(CommandKind)
    page_size: int = 1000
    acceptance_window_s: float = 60.0
    clock_codes: frozenset[str] = frozenset({"1004"})

    def request(self, call: Call, wall_ms: int) -> Request:
        action, ts = _ACTIONS[call.kind], str(wall_ms)
        body = orjson.dumps(_body(call))
        signature = sign(
            access_key=self.access_key,
            action=action,
            biz_type=BIZ_TYPE,
            ts=ts,
            body=body,
            secret=self.access_secret(),
            algorithm=self.algorithm,
        )
        headers = {
            "Content-Type": "application/json",
            "accessKey": self.access_key,
            "action": action,
            "bizType": BIZ_TYPE,
            "ts": ts,
            "sign": signature,
        }
        if self.algorithm != "md5":
            headers["algorithm"] = self.algorithm
        return Request("POST", self.base_url, headers, body)

    def outcome(self, call: Call, answer: Answer) -> Outcome:
        # Whatever the HTTP status: the vendor's own verdict, if there is one, is in the body.
        content = json_object(answer.body)
        code = None if content is None else identifier(content.get("code"), _LONGEST_CODE)
        if content is None or code is None:
            return http_outcome(call, answer)
        request_id = identifier(content.get("requestId"), _LONGEST_REQUEST_ID)
        if code == "0":
            try:
                return _success(call, content, request_id)
            except BadAnswer as error:
                return Unavailable(f"a success that cannot be understood: {error}", in_doubt=True, code=code)
        message = scrubbed(content.get("msg"), self.access_secret())
        if answer.status == 429 or any(text.lower() in message.lower() for text in self.codes.throttle_texts):
            return Throttled(retry_after_s(answer.headers.get("retry-after")), code, message)
        if code in self.codes.account_fault:
            return AccountFault(code, message)
        if code in self.codes.retryable:
            return Unavailable(message, in_doubt=False, code=code)
        # A code that nobody knows may pass: it is tried a few times before it counts as a refusal.
        return Refused(code, message, request_id, certain=code in self.codes.refused)


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
