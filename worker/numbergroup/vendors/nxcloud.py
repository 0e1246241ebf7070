"""NXCloud's privacy number service (PNS): number groups.

Sources: the vendor's pages "Create / Update / Query Number Group", its error-code page and its page on
the signature. What they do not document (rate limits, unknown codes) is a setting of the account.
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
    json_object,
    mask_message,
    parse_code,
    parse_identifier,
    parse_integer,
)
from numbergroup.vendors.classification import FailureClass, FailureClassifier, StatedFailure
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
_MAX_CODE = 32
_MAX_REQUEST_ID = 128
_MAX_CUSTOMER_ID = 128
_MAX_NUMBER = 32
_NOTHING: tuple[Any, ...] = (None, "", [], {})
"""What PHP and Java's optional values write for an empty object or array."""
_OPERATE_TYPES = {CallKind.ADD: 0, CallKind.DELETE: 1, CallKind.REPLACE: 2}


_NOTHING_DONE = frozenset({"1001", "1002", "1003", "1004", "1005", "10003", "10004", "10011", "10012"})
"""The documented codes with which nothing was done: all but 10009, which does not say."""

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
"""The documented codes. Which of them can be retried is inferred, and a setting."""


CAPABILITIES = Capabilities(frozenset(CommandKind) - {CommandKind.RENAME}, 1000)
"""The vendor does not document how many numbers a call may have."""


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

    def check_command(self, _: Command, /) -> Fault | None:
        """Return `None`: the vendor documents no limits of names or remarks."""
        return None

    def build_request(self, call: Call, wall_ms: int, credentials: Credentials) -> Request:
        action, ts = _ACTIONS[call.kind], str(wall_ms)
        body = orjson.dumps(_build_body(call))
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

    def parse_answer(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        # The body states the result, but its success does not count against the HTTP status.
        content_type = answer.headers.get("content-type", "")
        content = json_object(answer.body, content_type, once="code")
        code = None if content is None else parse_code(content.get("code"), _MAX_CODE)
        text = "" if content is None else _read_text(content)
        if content is None or (code is None and not self.classes.is_failure_text(call, text)):
            begins = beginning_of(
                answer.body, content_type, lambda text: mask_message(text, credentials.secret)
            )
            return self.classes.classify(call, answer, beginning=begins)
        request_id = parse_identifier(content.get("requestId"), _MAX_REQUEST_ID)
        message = mask_message(text, credentials.secret)
        if code == "0":
            if not answer.is_success:
                return self.classes.classify_contradiction(call, answer, message)
            try:
                return _parse_success(call, content, request_id)
            except BadAnswer as error:
                return Unavailable(f"a success that cannot be understood: {error}", in_doubt=True, code=code)
        stated = StatedFailure(code, text, message, request_id, nothing_done=code in _NOTHING_DONE)
        return self.classes.classify(call, answer, stated)


def _read_text(content: dict[str, Any]) -> str:
    """Return the vendor's message, which may have one of several names."""
    texts = (content.get(name) for name in ("msg", "message", "error"))
    return next((text for text in texts if isinstance(text, str) and text), "")


def _build_body(call: Call) -> dict[str, Any]:
    """Return the body of the request. Raises `ValueError` for an operation that the vendor does not have."""
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


def _parse_success(call: Call, content: dict[str, Any], request_id: str | None) -> Applied:
    if call.kind is CallKind.CREATE:
        data = content.get("data")
        group_id = _parse_group_id(content) or (_parse_group_id(data) if isinstance(data, dict) else None)
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
    rows = _parse_array(data.get("groups"))
    if rows is None:
        raise BadAnswer("groups is not an array")
    return Applied(
        request_id, groups=tuple(_parse_group(row) for row in rows), total=parse_integer(data.get("total"))
    )


def _parse_array(value: Any) -> Sequence[Any] | None:
    """Return the elements of an array, or `None` for any other value.

    PHP writes an array with gaps as an object whose names are numbers.
    """
    if value in _NOTHING:
        return []
    if isinstance(value, dict) and all(name.isdigit() for name in value):
        return [*value.values()]
    return value if isinstance(value, list) else None


def _parse_group(row: Any) -> Group:
    group_id = _parse_group_id(row) if isinstance(row, dict) else None
    if group_id is None:
        raise BadAnswer("a group without groupId")
    numbers = tuple(dict.fromkeys(_parse_numbers(row.get("phones"))))
    customer_id = parse_identifier(row.get("customerId"), _MAX_CUSTOMER_ID)
    return Group(
        group_id, _parse_name(row.get("groupName")), _parse_name(row.get("remark")), numbers, customer_id
    )


def _parse_numbers(phones: Any) -> Iterator[str]:
    """Return the numbers of a comma-separated text, as documented, of a number, or of an array of both."""
    entries = _parse_array(phones)
    for entry in [phones] if entries is None else entries:
        text = entry if isinstance(entry, str) else parse_code(entry, _MAX_NUMBER)
        if text is None and entry is not None:
            raise BadAnswer("phones has what is no number")
        yield from filter(None, map(str.strip, (text or "").split(",")))


def _parse_group_id(content: dict[str, Any]) -> str | None:
    """Return the id as a text; some versions of an API write it as a number."""
    value = content.get("groupId")
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return value if isinstance(value, str) and value else None


def _parse_name(value: Any) -> str:
    """Return a name or a remark; one that looks like a number may be sent as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
