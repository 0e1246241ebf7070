"""NXCloud's privacy number service (PNS): number groups.

Sources: the vendor's pages "Create / Update / Query Number Group", its error-code page and its page on
the signature. What those leave open (rate limits, unknown codes) is a setting of the account.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import orjson

from numbergroup.engine.calls import Applied, Call, CallKind, Group, Outcome, Unavailable
from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.verdicts import Fault
from numbergroup.vendors.answers import (
    BadAnswer,
    beginning_of,
    identifier,
    json_object,
    scrubbed,
    vendor_code,
    whole_number,
)
from numbergroup.vendors.classification import FailureClass, FailureClassifier, Stated
from numbergroup.vendors.port import Answer, Capabilities, Credentials, Request
from numbergroup.vendors.signature import Algorithm, sign

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
_LONGEST_CUSTOMER_ID = 128
_LONGEST_NUMBER = 32
_NOTHING: tuple[Any, ...] = (None, "", [], {})
"""What PHP, and Java's optional values, have for an empty object or array."""
_OPERATE_TYPES = {CallKind.ADD: 0, CallKind.DELETE: 1, CallKind.REPLACE: 2}


_NOTHING_DONE = frozenset({"1001", "1002", "1003", "1004", "1005", "10003", "10004", "10011", "10012"})
"""The codes of the vendor's page with which nothing was done: all but 10009, which does not tell."""

CLASSES = FailureClassifier(
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


CAPABILITIES = Capabilities(frozenset(CommandKind) - {CommandKind.RENAME}, 1000)
"""How many numbers a call may have is not documented."""


@dataclass(slots=True, frozen=True)
class NXCloud:
    """See `Provider`. The credentials are the account's access key and its secret."""

    base_url: str
    algorithm: Algorithm = "md5"
    classes: FailureClassifier = CLASSES
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
        # The vendor's own verdict, if there is one, is in the body; but no success against the HTTP status.
        content_type = answer.headers.get("content-type", "")
        content = json_object(answer.body, content_type, once="code")
        code = None if content is None else vendor_code(content.get("code"), _LONGEST_CODE)
        text = "" if content is None else _text(content)
        if content is None or (code is None and not self.classes.says_failure(call, text)):
            begins = beginning_of(answer.body, content_type, lambda text: scrubbed(text, credentials.secret))
            return self.classes.outcome(call, answer, beginning=begins)
        request_id = identifier(content.get("requestId"), _LONGEST_REQUEST_ID)
        message = scrubbed(text, credentials.secret)
        if code == "0":
            if not answer.is_success:
                return self.classes.contradiction(call, answer, message)
            try:
                return _success(call, content, request_id)
            except BadAnswer as error:
                return Unavailable(f"a success that cannot be understood: {error}", in_doubt=True, code=code)
        stated = Stated(code, text, message, request_id, nothing_done=code in _NOTHING_DONE)
        return self.classes.outcome(call, answer, stated)


def _text(content: dict[str, Any]) -> str:
    """What the vendor says, by whichever of these names."""
    texts = (content.get(name) for name in ("msg", "message", "error"))
    return next((text for text in texts if isinstance(text, str) and text), "")


def _body(call: Call) -> dict[str, Any]:
    """Raises `ValueError` for an operation that the vendor has not."""
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
        case CallKind.RENAME:
            raise ValueError("NXCloud has no way to rename a group")
        case other:
            assert_never(other)


def _success(call: Call, content: dict[str, Any], request_id: str | None) -> Applied:
    if call.kind is CallKind.CREATE:
        data = content.get("data")
        group_id = _group_id(content) or (_group_id(data) if isinstance(data, dict) else None)
        if group_id is None:
            raise BadAnswer("no groupId")
        return Applied(request_id, group_id)
    if call.kind is not CallKind.LIST:
        return Applied(request_id)
    data = content.get("data")
    if data in _NOTHING and "data" in content:
        data = {}
    if not isinstance(data, dict):
        raise BadAnswer("no data")
    rows = _array(data.get("groups"))
    if rows is None:
        raise BadAnswer("groups is not an array")
    return Applied(
        request_id, groups=tuple(_group(row) for row in rows), total=whole_number(data.get("total"))
    )


def _array(value: Any) -> Sequence[Any] | None:
    """The elements of an array, also as PHP writes one with gaps: as an object whose names are numbers.
    `None`: it is no array."""
    if value in _NOTHING:
        return []
    if isinstance(value, dict) and all(name.isdigit() for name in value):
        return [*value.values()]
    return value if isinstance(value, list) else None


def _group(row: Any) -> Group:
    group_id = _group_id(row) if isinstance(row, dict) else None
    if group_id is None:
        raise BadAnswer("a group without groupId")
    numbers = tuple(dict.fromkeys(_numbers(row.get("phones"))))
    customer_id = identifier(row.get("customerId"), _LONGEST_CUSTOMER_ID)
    return Group(group_id, _words(row.get("groupName")), _words(row.get("remark")), numbers, customer_id)


def _numbers(phones: Any) -> Iterator[str]:
    """The numbers of one text, as the vendor documents it, of one number, or of an array of both."""
    entries = _array(phones)
    for entry in [phones] if entries is None else entries:
        text = entry if isinstance(entry, str) else vendor_code(entry, _LONGEST_NUMBER)
        if text is None and entry is not None:
            raise BadAnswer("phones has what is no number")
        yield from filter(None, map(str.strip, (text or "").split(",")))


def _group_id(content: dict[str, Any]) -> str | None:
    """The id as it is: a text, or a number as some versions of an API write it."""
    value = content.get("groupId")
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return value if isinstance(value, str) and value else None


def _words(value: Any) -> str:
    """A name or a remark; one that looks like a number may come as one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
