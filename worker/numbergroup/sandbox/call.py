"""A call to NXCloud in progress: parses the request, applies it, and encodes the answer. Pure."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, assert_never

import orjson

from numbergroup.sandbox import actions, nxcloud
from numbergroup.sandbox.armed import FaultEffects, Target
from numbergroup.sandbox.call_log import LoggedCall
from numbergroup.sandbox.faults import (
    AuthenticationFailed,
    ErrorAnswer,
    RefuseNumbers,
    RefusingFault,
    Throttle,
    VendorCode,
)
from numbergroup.sandbox.nxcloud import Refusal, make_refusal
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.state import State
from numbergroup.sandbox.vendor_call import ReceivedRequest, Reply

_MAX_LOGGED_CHARACTERS = 64


class Call:
    """Implements `VendorCall` for NXCloud."""

    __slots__ = (
        "_as_string",
        "_cap",
        "_customer",
        "_groups",
        "_hidden",
        "_lasts_s",
        "_page_cap",
        "_request",
        "_strict_groups",
        "_ts",
        "log",
        "request_id",
    )

    def __init__(self, received: ReceivedRequest, *, request_id: str, state: State, options: Options) -> None:
        self.request_id = request_id
        headers = received.headers
        access_key = headers.get("accessKey", "")
        self._customer = state.credentials.find_customer(access_key) or ""
        self._groups = state.groups
        self._cap = state.cap
        self._as_string = False
        self._page_cap: int | None = None
        self._hidden: frozenset[str] = frozenset()
        self._strict_groups = options.strict_groups
        self._lasts_s = options.signature_lasts_s
        self._ts = headers.get("ts", "")
        action = headers.get("action", "")
        content = parse_json(received.body)
        accepted = state.credentials.secrets
        refused = nxcloud.authenticate(
            headers, received.body, accepted, received.now_ms, options.signature_lasts_s
        )
        self._request = refused or actions.read_request(action, content, options.numbers_per_call)
        self.log = LoggedCall(
            received.now_ms, make_readable(access_key), make_readable(action), request_id=request_id
        )
        _log_body(self.log, content)
        state.calls.record(self.log, counted_as=action if action in nxcloud.ACTIONS else "unknown")

    @property
    def target(self) -> Target:
        added_numbers: Sequence[str] = ()
        if not isinstance(self._request, Refusal):
            added_numbers = actions.list_added_numbers(self._request)
        return Target("nxcloud", self.log.action, self.log.group_id, added_numbers)

    def is_over_cap(self, now_ms: int) -> bool:
        return self._cap is not None and not self._cap.admit(now_ms)

    def apply_effects(self, effects: FaultEffects) -> None:
        self._as_string = effects.code_as_string
        self._page_cap, self._hidden = effects.page_cap, effects.hidden

    def recheck_validity(self, now_ms: int) -> None:
        """Checks the timestamp again after a delay."""
        if not isinstance(self._request, Refusal) and not nxcloud.is_in_time(self._ts, now_ms, self._lasts_s):
            self._request = make_refusal(1004)

    def perform(self) -> Reply:
        if isinstance(self._request, Refusal):
            return self._encode_refusal(self._request)
        done = actions.carry_out(
            actions.cap_page(self._request, self._page_cap),
            self._customer,
            self._groups,
            strict_groups=self._strict_groups,
            hidden=self._hidden,
        )
        if isinstance(done, Refusal):
            return self._encode_refusal(done)
        self.log.applied = True
        self.log.group_id = done.get("groupId", self.log.group_id)
        return self._encode_reply(0, "success", done)

    def refuse(self, fault: RefusingFault) -> Reply:
        match fault:
            case RefuseNumbers():
                refused_number = next(
                    number for number in self.target.added_numbers if number in fault.numbers
                )
                return self._encode_refusal(make_refusal(1002, f"phones: {refused_number} is refused"))
            case VendorCode():
                return self._encode_refusal(
                    make_refusal(fault.code) if fault.msg is None else Refusal(fault.code, fault.msg)
                )
            case AuthenticationFailed() | ErrorAnswer():
                raise ValueError(f"{fault.kind} is no fault of NXCloud's")
            case _:
                assert_never(fault)

    def throttle(self, fault: Throttle) -> Reply:
        body = nxcloud.encode_answer(fault.code, fault.msg, self.request_id)
        if fault.body:
            return Reply(body, fault.code)
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return Reply(body, fault.code, HTTPStatus.TOO_MANY_REQUESTS, headers)

    def fake_success(self) -> bytes:
        return nxcloud.encode_answer(0, "success", self.request_id)

    @property
    def success_prefix(self) -> bytes:
        return b'{"code":0,"msg":"'

    def _encode_refusal(self, refused: Refusal) -> Reply:
        return self._encode_reply(refused.code, refused.msg)

    def _encode_reply(self, code: int, msg: str, extra: Mapping[str, Any] | None = None) -> Reply:
        return Reply(
            nxcloud.encode_answer(code, msg, self.request_id, extra, code_as_string=self._as_string), code
        )


def parse_json(body: bytes) -> object:
    """Returns the JSON value of a body, or None if the body is empty or no JSON."""
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return None


def make_readable(text: str) -> str:
    """Returns a header for the log: escaped, and cut to 64 characters, unless it is alphanumeric ASCII."""
    return text if text.isalnum() and text.isascii() else ascii(text)[1:-1][:_MAX_LOGGED_CHARACTERS]


def _log_body(log: LoggedCall, content: object) -> None:
    """Copies the fields of a body to the log entry, whether or not the request is valid."""
    if not isinstance(content, dict):
        return
    group_id, operate_type, phones = (content.get(key) for key in ("groupId", "operateType", "phones"))
    log.group_id = group_id if isinstance(group_id, str) else None
    if isinstance(operate_type, int) and not isinstance(operate_type, bool):
        log.operate_type = operate_type
    log.phones = phones if isinstance(phones, str) else ""
