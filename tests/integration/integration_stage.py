"""Whole workers in this process, on a broker and a vendor that are real; any part can be exchanged."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Self

import orjson
from deadlines import room
from integration_rig import LEASE, Rig
from integration_servers import eventually
from redis.asyncio import Redis

from numbergroup.brokers.redis.broker import RedisBroker
from numbergroup.brokers.redis.connect import connect
from numbergroup.engine.commands import CommandKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.engine import Engine
from numbergroup.engine.policy import AccountPolicy, RetryPolicy
from numbergroup.engine.settling.settlement import SettlementBuilder
from numbergroup.ledger.control_store import RedisControlStore
from numbergroup.ledger.redis import RedisLedger
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.worker import Worker, ignore_settlement
from numbergroup.sandbox.faults import Fault
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import Sandbox, start
from numbergroup.vendors.attempt import Limits
from numbergroup.vendors.client import Caller
from numbergroup.vendors.http import HttpTransport
from numbergroup.vendors.keyring import Keyring
from numbergroup.vendors.nxcloud import NXCloud
from numbergroup.vendors.port import Credentials

KEY, SECRET = "sandbox-key", "sandbox-secret"
CALLS_PER_SECOND = 200


class Gate:
    """Where the vendor's calls wait, for as long as it is closed."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.opened.set()
        self.waiting = 0
        self.reached = 0

    async def sleep(self, _seconds: float) -> None:
        self.reached += 1
        self.waiting += 1
        await self.opened.wait()
        self.waiting -= 1


class Watched:
    """A part that counts its calls by name; `instead` has what to do in place of some of them."""

    def __init__(self, part: Any, instead: dict[str, Callable[..., Any]]) -> None:
        self._part = part
        self._instead = instead
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = self._instead.get(name) or getattr(self._part, name)
        if callable(found):
            self.calls[name] += 1
        return found


class Stage(Rig):
    """A vendor whose every call waits at `gate`, and the broker at `url`."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.gate = Gate()
        self.sandbox: Sandbox = await start(Options(latency_ms=1), port=0, sleep=self.gate.sleep)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.opened.set()
        await self.sandbox.stop()
        await super().__aexit__()

    @asynccontextmanager
    async def worker(
        self,
        owner: str = "me",
        *,
        ledger: dict[str, Callable[..., Any]] | None = None,
        limiter: Any = None,
        engine: Callable[[Engine], Any] = lambda engine: engine,
        ports: dict[str, Any] | None = None,
        written: Callable[[Any], None] = ignore_settlement,
        max_in_flight: int = 16,
        timeout_s: float = 2.0,
    ) -> AsyncIterator["Running"]:
        """A worker that runs until the end of the block. `ledger`: what its ledger does instead."""
        client = connect(self.url, (ports or {}).get("partitions", 1))
        whole = RedisLedger(client)
        watched = Watched(whole, ledger or {})
        clock = Clock()
        limiter = limiter or whole.limiter("default", CALLS_PER_SECOND)
        vendor = NXCloud(self.sandbox.url)
        caller = Caller(
            vendor,
            Keyring("default", Credentials(KEY, SECRET)),
            HttpTransport(max_in_flight, 1.0, timeout_s),
            Limits(connect_timeout_s=1.0, timeout_s=timeout_s),
            permit=limiter.acquire,
            wall_s=clock.wall,
            now_s=clock.now,
        )
        policy = AccountPolicy(1000, max_in_flight, frozenset(CommandKind))
        made = Ports(
            RedisBroker(client, 3_600_000),
            watched,  # type: ignore[arg-type]
            RedisControlStore(client),
            Intake(),
            SettlementBuilder(["numbergroup:replies:*"]),
            clock,
            owner,
            lease_ttl_s=10.0,
            max_pending=1000,
        )
        worker = Worker(
            engine(Engine({"default": policy}, RetryPolicy(base_s=0.05, cap_s=0.2))),
            replace(made, **(ports or {})),
            {"default": caller},
            {"default": limiter},
            jitter=lambda: 0.5,
            on_written=written,
        )
        running = Running(worker, watched, self.client, owner)
        try:
            yield running
        finally:
            worker.stop()
            self.gate.opened.set()
            try:
                await running.ended()
            finally:
                await caller.close()
                await client.aclose()

    def fault(self, *faults: Fault) -> None:
        self.sandbox.state.faults.add(faults)

    def members(self, group_id: str) -> set[str]:
        group = self.sandbox.state.groups.get(KEY, group_id)
        return set() if group is None else set(group.members)

    @property
    def arrived(self) -> int:
        """How many calls reached the vendor."""
        return self.sandbox.state.calls.total

    async def results(self) -> list[tuple[str, str]]:
        """Command id and status of every result event, in order."""
        events: list[Any] = []
        for body in await self.replies():
            content = orjson.loads(body)
            events += content if isinstance(content, list) else [content]
        return [(one["data"]["command"]["id"], one["data"]["status"]) for one in events]

    async def answered(self, count: int) -> list[tuple[str, str]]:
        """The results, when there are so many and nothing is left in the stream; one each."""

        async def enough() -> list[tuple[str, str]]:
            results = await self.results()
            return results if len(results) >= count and not await self.left() else []

        results = await eventually(enough, f"{count} results")
        names = Counter(name for name, _ in results)
        assert set(names.values()) == {1}, "a command has more than one result"
        assert len(results) == count
        return results

    async def calls_waiting(self, count: int) -> None:
        """Return when so many calls are waiting at the gate."""

        async def waiting() -> bool:
            return self.gate.waiting >= count

        await eventually(waiting, f"{count} calls at the gate")


class Running:
    """A worker at work."""

    def __init__(self, worker: Worker, ledger: Watched, client: Redis, owner: str) -> None:
        self.worker = worker
        self.client = client
        self.owner = owner
        self.ledger = ledger
        self.task = asyncio.create_task(worker.run())
        self._expected: BaseException | None = None

    async def ended(self) -> None:
        """Return when it has ended; raises what it raised, unless that was looked at."""
        await asyncio.wait([self.task], timeout=room(30))
        assert self.task.done(), "the worker does not end"
        if self.task.cancelled():
            return
        error = self.task.exception()
        if error is not None and error is not self._expected:
            raise error

    async def kill(self) -> None:
        """End it where it stands: its leases run out, and nothing is said of them."""
        self.task.cancel()
        await asyncio.wait([self.task], timeout=room(30))

    async def broke(self) -> BaseException | None:
        """What it ended with, when it has ended."""
        await asyncio.wait([self.task], timeout=room(10))
        assert self.task.done(), "the worker goes on"
        self._expected = self.task.exception()
        return self._expected

    async def owns(self) -> None:
        """Return when it owns the partition."""

        async def owning() -> bool:
            return await self.client.get(LEASE) == self.owner.encode()

        await eventually(owning, f"{self.owner} owns the partition")

    async def asked(self, name: str, times: int = 1) -> None:
        """Return when the ledger was asked for that so many times, from the worker's start on."""

        async def enough() -> bool:
            return self.ledger.calls[name] >= times

        await eventually(enough, f"the ledger is asked {times} times for {name}")

    async def asked_again(self, name: str, times: int = 1) -> None:
        """Return when the ledger was asked for that so many times more."""
        await self.asked(name, self.ledger.calls[name] + times)
