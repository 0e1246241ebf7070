"""A client that signs by hand, a clock and a sleep under the test's control; and starting and stopping."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import orjson
import pytest

from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import Sandbox, start

KEY, SECRET = "sandbox-key", "sandbox-secret"
GROUP = "6a7sd3402px21429s04"
A, B, C = "85211111114", "85235753351", "85235753311"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> Any:
        return self.json["code"]


class Rig:
    """A sandbox on a free port. Its clock stands still; its sleep waits for `gate`, then moves the clock."""

    def __init__(self, **options: Any) -> None:
        self._options = Options(**options)
        self.now_ms = 1_700_000_000_000
        self.slept_s: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await asyncio.sleep(0)
        await self.gate.wait()
        self.now_ms += round(seconds * 1000)

    async def __aenter__(self) -> Self:
        self.sandbox: Sandbox = await start(
            self._options, port=0, clock=lambda: self.now_ms, sleep=self._sleep
        )
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.sandbox.stop()

    def headers(
        self, action: str, body: bytes, /, *, key: str = KEY, secret: str = SECRET, **changed: str | None
    ) -> dict[str, str]:
        """Right headers, but for those in `changed`; None leaves one out."""
        headers: dict[str, str | None] = {
            "accessKey": key,
            "action": action,
            "bizType": "5",
            "ts": str(self.now_ms),
            "Content-Type": "application/json",
            **changed,
        }
        signed = f"accessKey={key}&action={action}&bizType={headers['bizType']}&ts={headers['ts']}".encode()
        signed += (b"&body=" + body if body else b"") + f"&accessSecret={secret}".encode()
        digest = hashlib.new(changed.get("algorithm") or "md5", signed).hexdigest()
        headers.setdefault("sign", digest)
        return {name: value for name, value in headers.items() if value is not None}

    def opened(self, action: str, body: Any, /, **how: Any) -> Any:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        url = how.pop("url", self.sandbox.url)
        return self.session.post(
            url, data=raw, headers=self.headers(action, raw, **how), allow_redirects=False
        )

    async def call(self, action: str, body: Any, /, **how: Any) -> Reply:
        async with self.opened(action, body, **how) as response:
            return Reply(response.status, response.headers, await response.read())

    async def update(self, operate_type: int, phones: str, group_id: str = GROUP, **how: Any) -> Reply:
        body = {"groupId": group_id, "operateType": operate_type, "phones": phones}
        return await self.call("updateGroup", body, **how)

    async def control(self, method: str, path: str, body: Any = None) -> Reply:
        raw = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        async with self.session.request(method, self.sandbox.origin + path, data=raw) as response:
            return Reply(response.status, response.headers, await response.read())

    async def fault(self, **fault: Any) -> int:
        """Puts one fault in place; its id."""
        reply = await self.control("POST", "/_sandbox/faults", fault)
        assert reply.status == 200, reply.body
        return int(reply.json["faults"][0]["id"])

    async def fired(self) -> list[int]:
        return [fault["fired"] for fault in (await self.control("GET", "/_sandbox/faults")).json["faults"]]

    async def members(self, group_id: str = GROUP) -> list[str] | None:
        groups = (await self.control("GET", "/_sandbox/groups")).json["groups"]
        return next((group["phones"] for group in groups if group["groupId"] == group_id), None)

    async def last_call(self) -> Any:
        return (await self.control("GET", "/_sandbox/calls?limit=1")).json["calls"][0]


async def test_free_port_and_vendor_path() -> None:
    """With port 0 it takes a free port, and `url` is the API under the vendor's own path."""
    async with Rig() as rig:
        assert rig.sandbox.port > 0
        assert rig.sandbox.url == f"http://127.0.0.1:{rig.sandbox.port}/api/pns/"
        assert (await rig.update(0, A)).code == 0


async def test_stop_frees_the_port_and_may_be_repeated() -> None:
    """After `stop` the port can be had again; stopping twice is no error."""
    first = await start(port=0)
    await first.stop()
    await first.stop()
    async with await start(port=first.port) as second:
        assert second.port == first.port


async def test_taken_port_is_an_error() -> None:
    """A port that cannot be had is an `OSError`, and nothing is left running."""
    async with await start(port=0) as first:
        with pytest.raises(OSError, match="address"):
            await start(port=first.port)


async def test_stop_cuts_off_what_has_no_end() -> None:
    """Neither a drip, nor a latency, nor a late call keeps the sandbox from stopping."""
    async with Rig() as rig:
        await rig.fault(kind="garbage", form="drip", groupId="drip")
        await rig.fault(kind="latency", ms=3_600_000, groupId="slow")
        await rig.fault(kind="late", delay_ms=3_600_000, groupId="late")
        rig.gate.clear()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await rig.update(0, A, "late")
        slow = asyncio.create_task(rig.update(0, A, "slow"))
        async with rig.opened("updateGroup", {"groupId": "drip", "operateType": 0, "phones": A}) as dripping:
            while len(rig.slept_s) < 3:
                await asyncio.sleep(0)
            await rig.sandbox.stop()
            with pytest.raises(aiohttp.ClientError):
                await dripping.read()
        with pytest.raises(aiohttp.ClientError):
            await slow
        assert list(rig.sandbox.state.groups.each()) == []


async def test_options_are_checked() -> None:
    """Options that make no sense are refused when they are given."""
    for wrong in ({"credentials": {}}, {"numbers_per_call": 0}, {"calls_per_second": 0}, {"latencyms": 5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Options(**wrong)
