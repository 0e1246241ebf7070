"""One of NXCloud's calls under way: what arrived, what it asks for, and carrying it out. Pure."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, assert_never

import orjson

from numbergroup.sandbox import actions, nxcloud
from numbergroup.sandbox.armed import Drawn, Target
from numbergroup.sandbox.call_log import LoggedCall
from numbergroup.sandbox.faults import (
    AuthenticationFailed,
    ErrorAnswer,
    RefuseNumbers,
    Refusing,
    Throttle,
    VendorCode,
)
from numbergroup.sandbox.nxcloud import Refusal, refusal
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.state import State
from numbergroup.sandbox.vendor_call import Arrival, Reply

_MAX_LOGGED_CHARACTERS = 64


class Call:
    """See `VendorCall`."""

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

    def __init__(self, arrival: Arrival, *, request_id: str, state: State, options: Options) -> None:
        self.request_id = request_id
        headers = arrival.headers
        access_key = headers.get("accessKey", "")
        self._customer = state.credentials.customer(access_key) or ""
        self._groups = state.groups
        self._cap = state.cap
        self._as_string = False
        self._page_cap: int | None = None
        self._hidden: frozenset[str] = frozenset()
        self._strict_groups = options.strict_groups
        self._lasts_s = options.signature_lasts_s
        self._ts = headers.get("ts", "")
        action = headers.get("action", "")
        content = parsed(arrival.body)
        accepted = state.credentials.secrets
        refused = nxcloud.authenticate(
            headers, arrival.body, accepted, arrival.now_ms, options.signature_lasts_s
        )
        self._request = refused or actions.read(action, content, options.numbers_per_call)
        self.log = LoggedCall(arrival.now_ms, readable(access_key), readable(action), request_id=request_id)
        _note(self.log, content)
        state.calls.record(self.log, counted_as=action if action in nxcloud.ACTIONS else "unknown")

    @property
    def target(self) -> Target:
        incoming: Sequence[str] = ()
        if not isinstance(self._request, Refusal):
            incoming = actions.incoming(self._request)
        return Target("nxcloud", self.log.action, self.log.group_id, incoming)

    def capped(self, now_ms: int) -> bool:
        return self._cap is not None and not self._cap.admits(now_ms)

    def meet(self, drawn: Drawn) -> None:
        self._as_string = drawn.code_as_string
        self._page_cap, self._hidden = drawn.page_cap, drawn.hidden

    def check_again(self, now_ms: int) -> None:
        """Looks at the time stamp again, after the call was long on its way."""
        if not isinstance(self._request, Refusal) and not nxcloud.in_time(self._ts, now_ms, self._lasts_s):
            self._request = refusal(1004)

    def perform(self) -> Reply:
        if isinstance(self._request, Refusal):
            return self._refused(self._request)
        done = actions.carry_out(
            actions.capped(self._request, self._page_cap),
            self._customer,
            self._groups,
            strict_groups=self._strict_groups,
            hidden=self._hidden,
        )
        if isinstance(done, Refusal):
            return self._refused(done)
        self.log.applied = True
        self.log.group_id = done.get("groupId", self.log.group_id)
        return self._reply(0, "success", done)

    def refuse(self, fault: Refusing) -> Reply:
        match fault:
            case RefuseNumbers():
                named = next(number for number in self.target.incoming if number in fault.numbers)
                return self._refused(refusal(1002, f"phones: {named} is refused"))
            case VendorCode():
                return self._refused(
                    refusal(fault.code) if fault.msg is None else Refusal(fault.code, fault.msg)
                )
            case AuthenticationFailed() | ErrorAnswer():
                raise ValueError(f"{fault.kind} is no fault of NXCloud's")
            case _:
                assert_never(fault)

    def throttle(self, fault: Throttle) -> Reply:
        body = nxcloud.answer(fault.code, fault.msg, self.request_id)
        if fault.body:
            return Reply(body, fault.code)
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return Reply(body, fault.code, HTTPStatus.TOO_MANY_REQUESTS, headers)

    def boast(self) -> bytes:
        return nxcloud.answer(0, "success", self.request_id)

    @property
    def opening(self) -> bytes:
        return b'{"code":0,"msg":"'

    def _refused(self, refused: Refusal) -> Reply:
        return self._reply(refused.code, refused.msg)

    def _reply(self, code: int, msg: str, extra: Mapping[str, Any] | None = None) -> Reply:
        return Reply(nxcloud.answer(code, msg, self.request_id, extra, code_as_string=self._as_string), code)


def parsed(body: bytes) -> object:
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return None


def readable(text: str) -> str:
    """A header as the log can say it: it may hold bytes that are no text, and be long."""
    return text if text.isalnum() and text.isascii() else ascii(text)[1:-1][:_MAX_LOGGED_CHARACTERS]


def _note(log: LoggedCall, content: object) -> None:
    """Logs what a body says, be it right or wrong."""
    if not isinstance(content, dict):
        return
    group_id, operate_type, phones = (content.get(key) for key in ("groupId", "operateType", "phones"))
    log.group_id = group_id if isinstance(group_id, str) else None
    if isinstance(operate_type, int) and not isinstance(operate_type, bool):
        log.operate_type = operate_type
    log.phones = phones if isinstance(phones, str) else ""
