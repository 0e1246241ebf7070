"""The vendor's API over HTTP, and the faults carried out on it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, assert_never

from aiohttp import web

from worker.sandbox import nxcloud
from worker.sandbox.armed import Drawn
from worker.sandbox.call import Call
from worker.sandbox.faults import (
    Decisive,
    Drop,
    Garbage,
    Late,
    Lost,
    Redirect,
    RefuseNumbers,
    Status,
    Throttle,
    VendorCode,
)
from worker.sandbox.ids import RequestIds
from worker.sandbox.nxcloud import Refusal, refusal
from worker.sandbox.options import Options
from worker.sandbox.state import State

Clock = Callable[[], int]
"""Unix time in milliseconds."""

Sleep = Callable[[float], Awaitable[Any]]
"""Waits for so many seconds."""

_JSON = "application/json"
_HTML = "text/html"
_CALLS_PER_SECOND_EXCEEDED = Throttle()


class Api:
    """Answers calls. `clock` is the vendor's, its `Date` header included; `sleep` does all the waiting."""

    def __init__(self, options: Options, state: State, clock: Clock, sleep: Sleep) -> None:
        self._options = options
        self._state = state
        self._clock = clock
        self._sleep = sleep
        self._request_ids = RequestIds()
        self._late: set[asyncio.Task[None]] = set()
        self._date = (-1, "")

    @property
    def late(self) -> int:
        """How many calls of a `late` fault are still on their way."""
        return len(self._late)

    async def drain(self) -> None:
        """Returns when every late call has arrived."""
        while self._late:
            await asyncio.wait(self._late)

    async def close(self) -> None:
        """Late calls that are still on their way never arrive."""
        for task in self._late:
            task.cancel()
        await self.drain()

    async def handle(self, http: web.Request) -> web.StreamResponse:
        try:
            body = await http.read()
        except ConnectionError:
            # The client left in the middle of its request: the vendor never had a call.
            return _hang_up(http)
        now_ms, state = self._clock(), self._state
        request_id = self._request_ids.next(now_ms)
        call = Call(
            http.headers, body, now_ms=now_ms, request_id=request_id, state=state, options=self._options
        )
        if state.cap is not None and not state.cap.admits(now_ms):
            call.log.fault = "calls_per_second"
            return self._throttle(call, _CALLS_PER_SECOND_EXCEEDED)
        drawn = state.faults.draw(call.log.action, call.log.group_id, call.incoming)
        call.log.fault = drawn.kind
        wait_ms = self._options.latency_ms + drawn.latency_ms
        if wait_ms:
            await self._sleep(wait_ms / 1000)
            call.check_again(self._clock())
        if drawn.decisive is None:
            return self._answer(call, call.apply(), drawn)
        return await self._fail(http, call, drawn, drawn.decisive)

    async def _fail(self, http: web.Request, call: Call, drawn: Drawn, fault: Decisive) -> web.StreamResponse:
        match fault:
            case RefuseNumbers():
                named = next(number for number in call.incoming if number in fault.numbers)
                return self._answer(call, refusal(1002, f"phones: {named} is refused"), drawn)
            case VendorCode():
                refused = refusal(fault.code) if fault.msg is None else Refusal(fault.code, fault.msg)
                return self._answer(call, refused, drawn)
            case Throttle():
                return self._throttle(call, fault)
            case Redirect():
                return self._raw(call, HTTPStatus.FOUND, b"", _HTML, {"Location": fault.location})
            case Status():
                if fault.applied:
                    call.apply()
                if fault.body is None:
                    return self._raw(call, fault.status, _gateway_page(fault.status), _HTML)
                return self._raw(call, fault.status, fault.body.encode(), fault.content_type)
            case Garbage():
                return await self._talk_nonsense(http, call, fault)
            case Lost():
                call.apply()
                return _hang_up(http)
            case Drop():
                return _hang_up(http)
            case Late():
                task = asyncio.create_task(self._arrive_late(call, fault.delay_ms))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return _hang_up(http)
            case _:
                assert_never(fault)

    async def _arrive_late(self, call: Call, delay_ms: int) -> None:
        await self._sleep(delay_ms / 1000)
        call.check_again(self._clock())
        call.apply()

    async def _talk_nonsense(self, http: web.Request, call: Call, fault: Garbage) -> web.StreamResponse:
        extra = call.apply() if fault.applied else {}
        whole = nxcloud.answer(0, "success", call.request_id, None if isinstance(extra, Refusal) else extra)
        match fault.form:
            case "html":
                return self._raw(call, HTTPStatus.OK, _gateway_page(HTTPStatus.OK), _HTML)
            case "truncated":
                return self._raw(call, HTTPStatus.OK, whole[: len(whole) // 2], _JSON)
            case "cut":
                response = self._stream(call)
                response.content_length = len(whole)
                with contextlib.suppress(ConnectionError):
                    await response.prepare(http)
                    await response.write(whole[: len(whole) // 2])
                _hang_up(http)
                return response
            case "drip":
                response = self._stream(call)
                # It ends when the client leaves.
                with contextlib.suppress(ConnectionError):
                    await response.prepare(http)
                    await response.write(b'{"code":0,"msg":"')
                    while True:
                        await self._sleep(fault.interval_ms / 1000)
                        await response.write(b".")
                return response
            case _:
                assert_never(fault.form)

    def _answer(self, call: Call, done: dict[str, Any] | Refusal, drawn: Drawn) -> web.Response:
        code, msg, extra = (done.code, done.msg, None) if isinstance(done, Refusal) else (0, "success", done)
        call.log.code = code
        body = nxcloud.answer(code, msg, call.request_id, extra, code_as_string=drawn.code_as_string)
        return self._raw(call, HTTPStatus.OK, body, _JSON)

    def _throttle(self, call: Call, fault: Throttle) -> web.Response:
        call.log.code = fault.code
        body = nxcloud.answer(fault.code, fault.msg, call.request_id)
        if fault.body:
            return self._raw(call, HTTPStatus.OK, body, _JSON)
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return self._raw(call, HTTPStatus.TOO_MANY_REQUESTS, body, _JSON, headers)

    def _raw(
        self,
        call: Call,
        status: int,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        call.log.http = int(status)
        if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            body = b""
        return web.Response(
            status=status,
            body=body,
            headers={"Date": self._today(), "Content-Type": content_type, **(headers or {})},
        )

    def _stream(self, call: Call) -> web.StreamResponse:
        call.log.http = 200
        return web.StreamResponse(headers={"Date": self._today(), "Content-Type": _JSON})

    def _today(self) -> str:
        """The `Date` header by the vendor's clock, from which clients measure their skew."""
        second = self._clock() // 1000
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]


def _gateway_page(status: int) -> bytes:
    try:
        title = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        title = str(status)
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n".encode()


def _hang_up(http: web.Request) -> web.Response:
    """Ends the connection; what is returned is for the server's bookkeeping and reaches nobody."""
    if http.transport is not None:
        http.transport.close()
    return web.Response()
