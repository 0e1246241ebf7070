"""The vendor of a simulated world, and what must hold whenever a request is written."""

import re
from collections import defaultdict, deque
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from numbergroup.engine.calls import Applied, Call, CallKind, Outcome
from numbergroup.runtime.lease import Lease
from numbergroup.vendors.nxcloud import NXCloud
from numbergroup.vendors.port import Answer, Credentials, Request
from numbergroup.vendors.signature import sign
from simulation.control_store import SimulatedControlStore
from simulation.ledger import SimulatedLedger
from simulation.loop import PROCESS, Process
from simulation.plans import AccountPlan
from simulation.world import EPOCH, World

SECRET = "secret"
_CHANGING = ("createGroup", "updateGroup", "deleteGroup", "renameGroup")
_HEARD_S = 1.5
"""Within that time every worker has heard what another one has told; what it had sent before flies on."""
LEASE: ContextVar[Lease | None] = ContextVar("lease", default=None)


class PerNumber(NXCloud):
    """Its answers name the numbers that it did not take, and it can rename a group."""

    __slots__ = ()

    def build_request(self, call: Call, wall_ms: int, credentials: Credentials) -> Request:
        if call.kind is not CallKind.RENAME:
            return super().build_request(call, wall_ms, credentials)
        texts = {"groupName": call.group_name, "remark": call.remark}
        said = {name: text for name, text in texts.items() if text is not None}
        body, ts = orjson.dumps({"groupId": call.group_id, **said}), str(wall_ms)
        signature = sign(
            access_key=credentials.name,
            action="renameGroup",
            biz_type="5",
            ts=ts,
            body=body,
            secret=credentials.secret,
            algorithm="md5",
        )
        headers = {"action": "renameGroup", "ts": ts, "sign": signature}
        return Request("POST", self.base_url, headers, body)

    def parse_answer(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        outcome = super().parse_answer(call, answer, credentials)
        if not isinstance(outcome, Applied):
            return outcome
        return replace(outcome, rejected=tuple(orjson.loads(answer.body).get("rejected", ())))


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
    """One for all accounts. Strict: an unknown group is refused. Requests are applied at once and whole."""

    world: World
    ledger: SimulatedLedger
    control_store: SimulatedControlStore
    groups: dict[str, dict[str, VendorGroup]] = field(default_factory=dict)
    request_ids: set[str] = field(default_factory=set)
    """Those of requests that were carried out, and answered so."""
    changes: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """How many changing calls were applied, by account and group."""
    written: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    sending: dict[tuple[str, str], Sending] = field(default_factory=dict)
    on_its_way: int = 0
    mended: bool = False
    """Whether it refuses no number any more."""
    flying: dict[str, list[Sending]] = field(default_factory=lambda: defaultdict(list))
    """By account, the requests that somebody waits for."""
    waits: dict[tuple[str, str], float] = field(default_factory=dict)
    """By process and account: until when it was told to wait."""
    hides_until: float = 0.0
    """Until when it does not list its newest group, but counts it."""
    probes: int = 0
    """How many requests were written while the breaker was known to be open."""
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
            return self.say(1004, "timestamp expired", request_id)
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
            return self.say(1003, "invalid signature", request_id)
        code, more = self._carry_out(account, action, orjson.loads(request.body), request_id)
        if late:
            self.world.fired["arrived late"] += 1
        if not code:
            self.request_ids.add(request_id)
        self.world.note(f"vendor {account.name} {action} {request.body.decode()} -> {code} {request_id}")
        return self.say(code, "success" if not code else "parameter error", request_id, more)

    def say(self, code: int, text: str, request_id: str, more: dict[str, Any] | None = None) -> bytes:
        """An answer's body."""
        return orjson.dumps({"code": code, "msg": text, "requestId": request_id, **(more or {})})

    def _carry_out(
        self, account: AccountPlan, action: str, body: dict[str, Any], request_id: str
    ) -> tuple[int, dict[str, Any]]:
        groups = self.groups[account.name]
        if action == "listGroup":
            first, limit = body["offset"], min(body["limit"] or 1000, self.world.plan.page_cap)
            page = list(groups.items())[first : first + limit]
            rows = [
                {
                    "groupId": name,
                    "groupName": one.name,
                    "remark": one.remark,
                    "phones": ",".join(one.numbers),
                }
                for name, one in page
                if not (self.hides_until > self.world.loop.now and name == [*groups][-1])
            ]
            total = len(rows) if self.world.plan.counts_pages else len(groups)
            return 0, {"data": {"groups": rows, "total": total}}
        numbers = body["phones"].split(",") if body.get("phones") else []
        if len(numbers) > account.numbers_per_call:
            self.world.broken("chunks", f"a call has {len(numbers)} numbers")
        poison = frozenset[str]() if self.mended else self.world.plan.poison
        if action not in ("deleteGroup", "renameGroup") and (not numbers or not poison.isdisjoint(numbers)):
            return 1002, {}
        left_out: list[str] = []
        if action == "createGroup" or body.get("operateType") in (0, 2):
            left_out = [number for number in numbers if number in self.world.plan.rejects]
            numbers = [number for number in numbers if number not in self.world.plan.rejects]
            self.world.fired["numbers not taken"] += bool(left_out)
        if action == "createGroup":
            return 0, {"groupId": self._create(account, body, numbers, request_id), "rejected": left_out}
        group = groups.get(body["groupId"])
        if group is None:
            return 1002, {}
        self.changes[account.name, body["groupId"]] += 1
        if action == "deleteGroup":
            del groups[body["groupId"]]
        elif action == "renameGroup":
            remark = body.get("remark", group.remark)[: self.world.plan.remark_length]
            group.name, group.remark = body.get("groupName", group.name), remark
            self.world.fired["renamed"] += 1
        elif body["operateType"] == 2:
            group.numbers = dict.fromkeys(numbers)
        elif body["operateType"] == 0:
            group.numbers.update(dict.fromkeys(numbers))
        else:
            for number in numbers:
                group.numbers.pop(number, None)
        return 0, {"rejected": left_out}

    def _create(self, account: AccountPlan, body: dict[str, Any], numbers: list[str], request_id: str) -> str:
        group_id, remark = f"made-{request_id}", body.get("remark") or ""
        self.changes[account.name, group_id] += 1
        found = re.search(r"\[ng:[0-9a-f]+\]", remark)
        marker = None if found is None else found[0]
        # A group that was deleted since may be made again, with all its history: a successor starts there.
        if marker is not None and any(marker in one.remark for one in self.groups[account.name].values()):
            self.world.broken("two groups", f"two groups were made for one create: {body}")
        self.groups[account.name][group_id] = VendorGroup(
            body.get("groupName") or group_id,
            remark[: self.world.plan.remark_length],
            dict.fromkeys(numbers),
        )
        return group_id

    def check_sending(
        self, account: AccountPlan, request: Request, until: float, *, thawed: bool
    ) -> tuple[str, str] | None:
        """What must hold when a request is written; names the group whose request it is.

        A process that was frozen while it connected keeps the lease all the same, but not the limit: it has
        its permit, and the vendor's connection.
        """
        world, now = self.world, self.world.loop.now
        process, lease = PROCESS.get(), LEASE.get()
        assert process is not None
        assert lease is not None
        held = self.ledger.leases.get(lease._partition, ("nobody", 0.0))
        if lease.history != world.history:
            # As long as no answer of the new server has come, nobody can know.
            if world.known_history() == world.history:
                world.broken("history", f"{process.name} wrote a request that relies on {lease.history}")
        elif held[0] != process.name or held[1] <= now or self.ledger.epochs[lease._partition] != lease.epoch:
            world.broken(
                "lease", f"{process.name} wrote a request for partition {lease._partition}, held by {held}"
            )
        if not thawed:
            self._count(account, now)
        if request.headers["action"] not in _CHANGING:
            return None
        body = orjson.loads(request.body)
        name = (account.name, body.get("groupId") or body["groupName"])
        other = self.sending.get(name)
        if other is not None and other.until > now:
            world.broken(
                "overlap", f"two calls of one group at once: {name}, the other by {other.process.name}"
            )
        self.sending[name] = Sending(process, until)
        return name

    def take_off(self, account: AccountPlan, until: float) -> Sending:
        """A request is written. While all workers know that the vendor is down, it must be the only one."""
        process, now = PROCESS.get(), self.world.loop.now
        assert process is not None
        others = [one for one in self.flying[account.name] if one.process.alive and one.until > now]
        known_s = self.control_store.open_for(account.name)
        heard_s = _HEARD_S + self.world.plan.timeout_s
        if known_s is not None and known_s > heard_s and not self.world.plan.is_shaken:
            self.probes += 1
            if others:
                several = f"{len(others) + 1} requests of {account.name} at once"
                self.world.broken("probes", f"{several}, with its breaker open for {known_s:.1f} s")
        if self.waits.get((process.name, account.name), 0.0) > now and not self.world.plan.is_shaken:
            self.world.broken("throttling", f"{process.name} was told to wait, and called {account.name}")
        sending = Sending(process, until)
        self.flying[account.name] = [*others, sending]
        return sending

    def turned_away(self, account: AccountPlan, wait_s: float) -> None:
        """This process was told to wait."""
        process = PROCESS.get()
        assert process is not None
        self.waits[process.name, account.name] = self.world.loop.now + wait_s

    def _count(self, account: AccountPlan, now: float) -> None:
        times = self.written[account.name]
        times.append(now)
        while times[0] <= now - 1.0:
            times.popleft()
        if len(times) > account.calls_per_second:
            self.world.broken(
                "limit", f"{len(times)} requests of {account.name} were written within a second"
            )
