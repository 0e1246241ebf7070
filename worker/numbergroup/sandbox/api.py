"""Serves the vendors' APIs over HTTP, and applies faults to the calls."""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, assert_never

from aiohttp import web

from numbergroup.sandbox.call import Call
from numbergroup.sandbox.faults import (
    AnsweringFault,
    AuthenticationFailed,
    Drop,
    ErrorAnswer,
    Garbage,
    Late,
    Lost,
    Redirect,
    RefuseNumbers,
    Status,
    Throttle,
    VendorCode,
)
from numbergroup.sandbox.ids import RequestIds
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.ozonetel_call import OzonetelCall
from numbergroup.sandbox.state import State
from numbergroup.sandbox.vendor_call import ReceivedRequest, Reply, VendorCall

Clock = Callable[[], int]
"""Unix time in milliseconds."""

Sleep = Callable[[float], Awaitable[Any]]
"""Waits for the given number of seconds."""

_JSON = "application/json"
_HTML = "text/html"
_CALLS_PER_SECOND_EXCEEDED = Throttle()


class Api:
    """Answers calls to both vendors.

    `clock` is the vendors' clock, which also sets the `Date` header. `sleep` does all waiting.
    """

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
        """The number of calls that a `late` fault still holds back."""
        return len(self._late)

    async def drain(self) -> None:
        """Waits until every late call is applied."""
        while self._late:
            await asyncio.wait(self._late)

    async def close(self) -> None:
        """Cancels the late calls that are not applied yet."""
        for task in self._late:
            task.cancel()
        await self.drain()

    async def nxcloud(self, http: web.Request) -> web.StreamResponse:
        """Answers a call to NXCloud."""
        received = await self._receive(http)
        if received is None:
            return _close_connection(http)
        request_id = self._request_ids.next(received.now_ms)
        call = Call(received, request_id=request_id, state=self._state, options=self._options)
        return await self._handle(http, call, received.now_ms)

    async def ozonetel(self, http: web.Request) -> web.StreamResponse:
        """Answers a call to Ozonetel."""
        received = await self._receive(http)
        if received is None:
            return _close_connection(http)
        return await self._handle(http, OzonetelCall(received, self._state), received.now_ms)

    async def _receive(self, http: web.Request) -> ReceivedRequest | None:
        try:
            body = await http.read()
        except ConnectionError:
            # The client disconnected within its request, so no call reached the vendor.
            return None
        return ReceivedRequest(http.method, http.path, http.headers, body, self._clock())

    async def _handle(self, http: web.Request, call: VendorCall, now_ms: int) -> web.StreamResponse:
        if call.is_over_cap(now_ms):
            call.log.fault = "calls_per_second"
            return self._send(call, call.throttle(_CALLS_PER_SECOND_EXCEEDED))
        effects = self._state.faults.select_effects(call.target)
        call.log.fault = effects.kind
        call.apply_effects(effects)
        wait_ms = self._options.latency_ms + effects.latency_ms
        if wait_ms:
            await self._sleep(wait_ms / 1000)
            call.recheck_validity(self._clock())
        if effects.answering is None:
            answer: web.StreamResponse = self._send(call, call.perform())
        else:
            answer = await self._fail(http, call, effects.answering)
        if effects.coding is not None and isinstance(answer, web.Response):
            _compress(answer, effects.coding)
        return answer

    async def _fail(self, http: web.Request, call: VendorCall, fault: AnsweringFault) -> web.StreamResponse:
        match fault:
            case RefuseNumbers() | VendorCode() | AuthenticationFailed() | ErrorAnswer():
                return self._send(call, call.refuse(fault))
            case Throttle():
                return self._send(call, call.throttle(fault))
            case Redirect():
                return self._raw(call, HTTPStatus.FOUND, b"", _HTML, {"Location": fault.location})
            case Status():
                if fault.applied:
                    call.perform()
                headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                if fault.body is None:
                    return self._raw(call, fault.status, _gateway_page(fault.status), _HTML, headers)
                return self._raw(call, fault.status, fault.body.encode(), fault.content_type, headers)
            case Garbage():
                return await self._send_garbage(http, call, fault)
            case Lost():
                call.perform()
                return _close_connection(http)
            case Drop():
                return _close_connection(http)
            case Late():
                task = asyncio.create_task(self._apply_late(call, fault.delay_ms))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return _close_connection(http)
            case _:
                assert_never(fault)

    async def _apply_late(self, call: VendorCall, delay_ms: int) -> None:
        await self._sleep(delay_ms / 1000)
        call.recheck_validity(self._clock())
        call.perform()

    async def _send_garbage(self, http: web.Request, call: VendorCall, fault: Garbage) -> web.StreamResponse:
        whole = call.perform().body if fault.applied else call.fake_success()
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
                _close_connection(http)
                return response
            case "drip":
                response = self._stream(call)
                # The loop ends when the client disconnects.
                with contextlib.suppress(ConnectionError):
                    await response.prepare(http)
                    await response.write(call.success_prefix)
                    while True:
                        await self._sleep(fault.interval_ms / 1000)
                        await response.write(b".")
                return response
            case _:
                assert_never(fault.form)

    def _send(self, call: VendorCall, reply: Reply) -> web.Response:
        call.log.code = reply.logged_code
        return self._raw(call, reply.http, reply.body, _JSON, reply.headers)

    def _raw(
        self,
        call: VendorCall,
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
            headers={"Date": self._date_header(), "Content-Type": content_type, **(headers or {})},
        )

    def _stream(self, call: VendorCall) -> web.StreamResponse:
        call.log.http = 200
        return web.StreamResponse(headers={"Date": self._date_header(), "Content-Type": _JSON})

    def _date_header(self) -> str:
        """Returns the `Date` header by the vendor's clock. Clients measure their clock skew against it."""
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


def _compress(answer: web.Response, coding: str) -> None:
    body = answer.body if isinstance(answer.body, bytes) else b""
    if coding == "gzip":
        answer.body = gzip.compress(body)
    else:
        # No encoder for `br` is available: the body is made undecodable instead.
        answer.body = zlib.compress(body) if coding == "deflate" else body[::-1]
    answer.headers["Content-Encoding"] = coding


def _close_connection(http: web.Request) -> web.Response:
    """Closes the connection. The server needs a response object, which is never sent."""
    if http.transport is not None:
        http.transport.close()
    return web.Response()
