"""The vendor of a simulated world, and the transport to it, with everything that goes wrong on the way."""

import asyncio
from collections import defaultdict, deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import orjson
from simulation.ledger import SimulatedLedger
from simulation.loop import PROCESS, Process
from simulation.plans import AccountPlan, Fault
from simulation.world import EPOCH, World

from worker.calls import Caller, Ended, Guard, RecordIntent
from worker.engine.model import Call
from worker.providers.port import Answer, Request
from worker.providers.signature import sign
from worker.runtime.lease import Lease
from worker.transport import NoAnswer, NotConnected, TooLate

DURABLE_DOUBTS = False
"""Whether a successor knows of the unanswered updates of a worker that died or lost its lease. While it does
not, what such a worker sent arrives at once or never."""

SECRET = "secret"
_CHANGING = ("createGroup", "updateGroup", "deleteGroup")
_LEASE: ContextVar[Lease | None] = ContextVar("lease", default=None)


@dataclass(slots=True)
class VendorGroup:
    name: str
    remark: str
    numbers: dict[str, None]


@dataclass(slots=True)
class Sending:
    """A request that was written: until when its answer may be waited for."""

    process: Process
    until: float


@dataclass(slots=True)
class SimulatedVendor:
    """One for all accounts. Strict: an unknown group is refused. Each request is applied at once and whole."""

    world: World
    ledger: SimulatedLedger
    groups: dict[str, dict[str, VendorGroup]] = field(default_factory=dict)
    request_ids: set[str] = field(default_factory=set)
    """Those of requests that were carried out, and answered so."""
    changes: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """How many changing calls were applied, by account and group."""
    written: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    sending: dict[tuple[str, str], Sending] = field(default_factory=dict)
    markers: set[str] = field(default_factory=set)
    on_its_way: int = 0
    _serial: int = 1_600_000_000_000_000_000

    def __post_init__(self) -> None:
        self.groups = {account.name: {} for account in self.world.plan.accounts}
        for account, group_id, numbers in self.world.plan.initial:
            self.groups[account][group_id] = VendorGroup(group_id, "", dict.fromkeys(numbers))

    def take(self, account: AccountPlan, request: Request, *, late: bool = False) -> bytes:
        """Carry the request out, if its signature is right and young enough: the answer's body."""
        self._serial += 1
        request_id = str(self._serial)
        headers, now_ms = request.headers, (EPOCH + self.world.loop.now) * 1000
        action = headers["action"]
        if abs(int(headers["ts"]) - now_ms) > self.world.plan.window_s * 1000:
            return self._say(1004, "timestamp expired", request_id)
        expected = sign(
            access_key=account.name,
            action=action,
            biz_type="5",
            ts=headers["ts"],
            body=request.body,
            secret=SECRET,
            algorithm="md5",
        )
        if headers["sign"] != expected:
            return self._say(1003, "invalid signature", request_id)
        code, more = self._carry_out(account, action, orjson.loads(request.body), request_id)
        if late:
            self.world.fired["arrived late"] += 1
        if not code:
            self.request_ids.add(request_id)
        self.world.note(f"vendor {account.name} {action} {request.body.decode()} -> {code} {request_id}")
        return self._say(code, "success" if not code else "parameter error", request_id, more)

    def _say(self, code: int, text: str, request_id: str, more: dict[str, Any] | None = None) -> bytes:
        return orjson.dumps({"code": code, "msg": text, "requestId": request_id, **(more or {})})

    def _carry_out(
        self, account: AccountPlan, action: str, body: dict[str, Any], request_id: str
    ) -> tuple[int, dict[str, Any]]:
        groups = self.groups[account.name]
        if action == "listGroup":
            first, limit = body["offset"], body["limit"] or 1000
            page = list(groups.items())[first : first + limit]
            rows = [
                {"groupId": name, "groupName": one.name, "remark": one.remark, "phones": ",".join(one.numbers)}
                for name, one in page
            ]
            return 0, {"data": {"groups": rows, "total": len(groups)}}
        numbers = body["phones"].split(",") if body.get("phones") else []
        if len(numbers) > account.numbers_per_call:
            self.world.broken("chunks", f"a call has {len(numbers)} numbers")
        if action != "deleteGroup" and (not numbers or not self.world.plan.poison.isdisjoint(numbers)):
            return 1002, {}
        if action == "createGroup":
            return 0, {"groupId": self._create(account, body, numbers, request_id)}
        group = groups.get(body["groupId"])
        if group is None:
            return 1002, {}
        self.changes[account.name, body["groupId"]] += 1
        if action == "deleteGroup":
            del groups[body["groupId"]]
        elif body["operateType"] == 2:
            group.numbers = dict.fromkeys(numbers)
        elif body["operateType"] == 0:
            group.numbers.update(dict.fromkeys(numbers))
        else:
            for number in numbers:
                group.numbers.pop(number, None)
        return 0, {}

    def _create(self, account: AccountPlan, body: dict[str, Any], numbers: list[str], request_id: str) -> str:
        group_id, remark = f"made-{request_id}", body.get("remark") or ""
        self.changes[account.name, group_id] += 1
        marker = remark[remark.rfind("[ng:") :] if "[ng:" in remark else None
        if marker is not None and marker in self.markers:
            self.world.broken("two groups", f"two groups were made for one create: {body}")
        if marker is not None:
            self.markers.add(marker)
        self.groups[account.name][group_id] = VendorGroup(
            body.get("groupName") or group_id, remark, dict.fromkeys(numbers)
        )
        return group_id

    def check_sending(self, account: AccountPlan, request: Request, until: float) -> tuple[str, str] | None:
        """What must hold when a request is written; names the group whose request it is."""
        world, now = self.world, self.world.loop.now
        process, lease = PROCESS.get(), _LEASE.get()
        assert process is not None
        assert lease is not None
        held = self.ledger.leases.get(lease._partition, ("nobody", 0.0))
        if held[0] != process.name or held[1] <= now or self.ledger.epochs[lease._partition] != lease.epoch:
            world.broken(
                "lease", f"{process.name} wrote a request for partition {lease._partition}, held by {held}"
            )
        times = self.written[account.name]
        times.append(now)
        while times[0] <= now - 1.0:
            times.popleft()
        if len(times) > account.calls_per_second:
            world.broken("limit", f"{len(times)} requests of {account.name} were written within a second")
        if request.headers["action"] not in _CHANGING:
            return None
        body = orjson.loads(request.body)
        name = (account.name, body.get("groupId") or body.get("remark") or body["phones"])
        other = self.sending.get(name)
        if other is not None and other.until > now:
            world.broken("overlap", f"two calls of one group at once: {name}, the other by {other.process.name}")
        self.sending[name] = Sending(process, until)
        return name


class WatchedCaller(Caller):
    """The real one; its transport is told under which lease each call is made."""

    async def run(self, call: Call, guard: Guard, record_intent: RecordIntent) -> Ended:
        assert isinstance(guard, Lease)
        _LEASE.set(guard)
        return await super().run(call, guard, record_intent)


@dataclass(slots=True)
class SimulatedTransport:
    """See `worker.transport.Transport`."""

    world: World
    vendor: SimulatedVendor
    account: AccountPlan

    async def exchange(self, request: Request, most_bytes: int, sent_by: float) -> Answer:
        world, loop = self.world, self.world.loop
        deadline = loop.now + world.plan.timeout_s
        await asyncio.sleep(world.random.random() * 0.005)
        if world.vendor_away_until > loop.now:
            raise NotConnected("not connected: the vendor is away")
        # The last moment before it is written, as in the real transport.
        if loop.now >= sent_by:
            raise TooLate("not sent in time")
        process = PROCESS.get()
        assert process is not None
        fate = world.fate_of_call(process)
        if fate is not None and fate.kind == "not connected":
            raise NotConnected("not connected: on this occasion")
        name = self.vendor.check_sending(self.account, request, deadline)
        world.note(f"call {world.calls} {request.headers['action']} {request.body.decode()} ({fate})")
        answer = loop.create_future()
        self._send(request, fate, answer)
        try:
            async with asyncio.timeout_at(deadline):
                came = await answer
        except TimeoutError:
            world.note("no answer in time")
            raise NoAnswer("no answer: TimeoutError") from None
        finally:
            if name is not None and process.alive:
                self.vendor.sending[name].until = loop.now
        if isinstance(came, Exception):
            world.note("no answer")
            raise came
        world.note(f"answer {came.status} {came.body[:60]!r}")
        return came  # type: ignore[no-any-return]

    def _send(self, request: Request, fate: Fault | None, answer: Any) -> None:
        world, loop = self.world, self.world.loop
        kind = "" if fate is None else fate.kind
        lag_s = 0.002 + 0.03 * world.random.random()
        back_s = 0.002 + 0.03 * world.random.random()
        if kind in ("slow", "too slow"):
            back_s = (0.5 if kind == "slow" else 1.5) * world.plan.timeout_s
        lost = NoAnswer("no answer: lost")

        def tell(came: Answer | Exception) -> None:
            if not answer.done():
                answer.set_result(came)

        if kind in ("lost before", "late"):
            loop.later(lag_s, tell, lost)
        if kind == "late":
            assert fate is not None
            lease, action = _LEASE.get(), request.headers["action"]
            assert lease is not None
            epoch = lease.epoch
            self.vendor.on_its_way += 1

            def arrive() -> None:
                self.vendor.on_its_way -= 1
                current = self.vendor.ledger.epochs[lease._partition] == epoch
                if DURABLE_DOUBTS or action == "createGroup" or current:
                    self.vendor.take(self.account, request, late=True)

            loop.later(fate.for_s, arrive)
            return
        if kind == "lost before":
            return

        def arrive_now() -> None:
            came = self._answer(request, fate)
            loop.later(back_s, tell, lost if kind == "lost after" else came)

        loop.later(lag_s, arrive_now)

    def _answer(self, request: Request, fate: Fault | None) -> Answer:
        headers = {"date": formatdate(EPOCH + self.world.loop.now, usegmt=True)} if fate else {}
        match fate.kind if fate is not None else "":
            case "throttled":
                return Answer(429, b"", headers)
            case "throttled for a while":
                assert fate is not None
                return Answer(429, b"", headers | {"retry-after": f"{fate.for_s:.1f}"})
            case "throttled by text":
                return self._verdict(1008, "rate limit exceeded", headers)
            case "account fault":
                return self._verdict(1003, "invalid signature", headers)
            case "refused":
                return self._verdict(1002, "parameter error", headers)
            case "unknown code":
                return self._verdict(777, "what nobody knows", headers)
            case "503" | "500":
                assert fate is not None
                return Answer(int(fate.kind), b"<html>", headers)
            case "500 applied":
                self.vendor.take(self.account, request)
                return Answer(500, b"<html>", headers)
            case "garbage":
                return Answer(200, b'{"code":', headers)
            case "garbage applied":
                return Answer(200, self.vendor.take(self.account, request)[:20], headers)
            case _:
                return Answer(200, self.vendor.take(self.account, request), headers)

    def _verdict(self, code: int, text: str, headers: dict[str, str]) -> Answer:
        return Answer(200, self.vendor._say(code, text, "0"), headers)

    async def close(self) -> None:
        """There is nothing to close."""
