"""The vendor's API over HTTP, and the faults carried out on it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, assert_never

import orjson
from aiohttp import web

from worker.sandbox import actions, nxcloud
from worker.sandbox.armed import Drawn
from worker.sandbox.call_log import LoggedCall
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
from worker.sandbox.groups import Groups
from worker.sandbox.ids import RequestIds
from worker.sandbox.nxcloud import Refusal, refusal
from worker.sandbox.options import Options
from worker.sandbox.state import State

Clock = Callable[[], int]
"""Unix time in milliseconds."""

Sleep = Callable[[float], Awaitable[Any]]
"""Waits for so many seconds."""

_TOO_MANY_CALLS = Throttle()
_MAX_LOGGED_ACTION = 64


class _Call:
    """One call under way: what it asks for, and how to carry it out."""

    __slots__ = ("_groups", "_strict_groups", "_ts", "log", "request", "request_id")

    def __init__(
        self,
        log: LoggedCall,
        request: actions.Request | Refusal,
        ts: str,
        request_id: str,
        groups: Groups,
        strict_groups: bool,
    ) -> None:
        self.log = log
        self.request = request
        self.request_id = request_id
        self._ts = ts
        self._groups = groups
        self._strict_groups = strict_groups

    def arrive(self, now_ms: int) -> None:
        """Looks at the time stamp again, for a call that was long on its way."""
        if not isinstance(self.request, Refusal) and not nxcloud.in_time(self._ts, now_ms):
            self.request = refusal(1004)

    def apply(self) -> dict[str, Any] | Refusal:
        """Makes the change, if the call asks for one that can be made."""
        if isinstance(self.request, Refusal):
            return self.request
        done = actions.carry_out(
            self.request, self.log.access_key, self._groups, strict_groups=self._strict_groups
        )
        if not isinstance(done, Refusal):
            self.log.applied = True
            self.log.group_id = done.get("groupId", self.log.group_id)
        return done


class Api:
    """Answers calls. `clock` is the vendor's clock, its `Date` header included; `sleep` is all its waiting."""

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
        body = await http.read()
        now_ms = self._clock()
        call = self._read(http, body, now_ms)
        if self._state.cap is not None and not self._state.cap.admits(now_ms):
            return self._throttled(call, _TOO_MANY_CALLS)
        drawn = self._draw(call)
        call.log.fault = drawn.kind
        wait_ms = self._options.latency_ms + drawn.latency_ms
        if wait_ms:
            await self._sleep(wait_ms / 1000)
            call.arrive(self._clock())
        if drawn.decisive is None:
            return self._answered(call, call.apply(), drawn)
        return await self._faulty(http, call, drawn, drawn.decisive)

    def _read(self, http: web.Request, body: bytes, now_ms: int) -> _Call:
        """Everything there is to know of a call at its arrival; it is in the log from here on."""
        headers, state = http.headers, self._state
        action = headers.get("action", "")
        known = action in nxcloud.ACTIONS
        try:
            parsed = orjson.loads(body) if body else None
        except orjson.JSONDecodeError:
            parsed = None
        request: actions.Request | Refusal | None
        request = nxcloud.authenticate(headers, body, state.credentials, now_ms)
        if request is None:
            request = actions.read(action, parsed, self._options.numbers_per_call)
        log = LoggedCall(
            now_ms,
            # A header may hold bytes that are no text, and JSON could not say them.
            ascii(headers.get("accessKey", ""))[1:-1][:_MAX_LOGGED_ACTION]
            if isinstance(request, Refusal)
            else headers["accessKey"],
            action if known else ascii(action)[1:-1][:_MAX_LOGGED_ACTION],
            request_id=self._request_ids.next(now_ms),
        )
        if isinstance(parsed, dict):
            _note(log, parsed)
        state.calls.record(log, action if known else "unknown")
        return _Call(
            log,
            request,
            headers.get("ts", ""),
            log.request_id or "",
            state.groups,
            self._options.strict_groups,
        )
