"""Workers that share one account's token, in virtual time: real `Tokens` and `Caller`s, several processes, a
vendor that goes by `TokenIssuer`, and a ledger in memory that may be away."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from random import Random
from typing import Any

import orjson
from simulation.loop import PROCESS, Process, VirtualLoop

from numbergroup.engine.calls import AccountFault, Applied, Call, CallKind, Outcome, Throttled, Unavailable
from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.verdicts import Fault
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.ledger.token_state import TokenState
from numbergroup.sandbox.ozonetel_tokens import TokenIssuer
from numbergroup.vendors.attempt import CallResult, Limits
from numbergroup.vendors.client import Caller
from numbergroup.vendors.http import MaySend, NoAnswer, NotConnected, TooLate, Withdrawn, always
from numbergroup.vendors.keyring import Keyring
from numbergroup.vendors.port import Answer, Capabilities, Credentials, Request, TokenRules
from numbergroup.vendors.tokens import Tokens

START = 1_700_000_000.0
USER, KEY = "ann", "s3cret-key"
MINE = Credentials(USER, KEY)
TIMEOUT_S = 8.0


class Vendor:
    """The provider of a vendor that is nothing but its tokens."""

    capabilities = Capabilities(frozenset({CommandKind.ADD}), 100)
    acceptance_window_s = 5.0
    clock_codes: frozenset[str] = frozenset()
    credential_codes = frozenset({"key"})
    token_rules = TokenRules(3600.0, 10, frozenset({"dead"}))

    def check_command(self, command: Command, /) -> Fault | None:
        return None

    def build_request(self, call: Call, wall_ms: int, credentials: Credentials) -> Request:
        return Request(
            "PUT", "/group", {"authorization": credentials.token or ""}, (call.group_id or "").encode()
        )

    def parse_answer(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        return Applied(None) if answer.status == 200 else AccountFault("dead", "Authentication failed")

    def build_token_request(self, credentials: Credentials) -> Request:
        return Request("POST", "/token", {"apikey": credentials.secret}, credentials.name.encode())

    def parse_token(
        self, answer: Answer, credentials: Credentials
    ) -> str | AccountFault | Throttled | Unavailable:
        if answer.status == 200:
            token = orjson.loads(answer.body).get("token")
            return token or Unavailable("no token in it", in_doubt=False)
        if answer.status == 401:
            return AccountFault("key", "Authentication failed")
        if answer.status == 429:
            return Throttled(None, "limit", "Max limit exceeded")
        return Unavailable("down", in_doubt=False)


class Store:
    """The ledger's part. When it is away, that is told before or after the work is done."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.states: dict[str, TokenState] = {}
        self.uses = 0
        self.lag_s = 0.001

    async def read(self, account: str) -> TokenState:
        await self._way()
        return self.states.get(account, TokenState())

    async def change(
        self, account: str, change: Callable[[TokenState], TokenState | None]
    ) -> TokenState | None:
        while True:
            seen = await self.read(account)
            wanted = change(seen)
            if wanted is None:
                return None
            await self._way()
            if self.states.get(account, TokenState()) == seen:
                self.states[account] = wanted
                await self._way()
                return wanted

    async def _way(self) -> None:
        self.uses += 1
        await asyncio.sleep(self.lag_s)
        if self._world.ledger_away():
            raise LedgerUnavailable("away")


class Wire:
    """The transport of one worker. The fate of a request: `ok`, `not connected`, `lost` (its answer), `late`
    (it arrives when nobody waits any more), `never`, `down` (503), `unreadable` (a success without one)."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def exchange(
        self, request: Request, max_bytes: int, send_deadline: float, may_send: MaySend = always
    ) -> Answer:
        world = self._world
        await asyncio.sleep(0.001)
        if world.loop.time() >= send_deadline:
            raise TooLate("not sent in time")
        if not may_send():
            raise Withdrawn("not sent: something has come between")
        fate = world.fate(request)
        if fate == "not connected":
            raise NotConnected("not connected")
        came: asyncio.Future[Answer] = world.loop.create_future()

        def answer() -> None:
            found = Answer(503, b"") if fate == "down" else world.answer(request)
            found = Answer(200, b"{}") if fate == "unreadable" else found
            if fate not in ("lost", "late") and not came.done():
                world.loop.later(world.lag_s(), lambda: came.done() or came.set_result(found))

        if fate != "never":
            world.loop.later(TIMEOUT_S + 4.0 if fate == "late" else world.lag_s(), answer)
        try:
            return await asyncio.wait_for(came, TIMEOUT_S)
        except TimeoutError:
            raise NoAnswer("no answer") from None

    async def close(self) -> None:
        """Nothing to close."""


class Worker:
    """One process. `permits` counts what it was granted."""

    def __init__(self, world: "World", name: str, credentials: Credentials = MINE) -> None:
        self.world = world
        self.process = Process(name)
        self.keyring = Keyring("default", credentials)
        self.permits = 0
        self.wire = Wire(world)
        vendor = Vendor()
        self.tokens = Tokens(
            "default",
            vendor,
            rules=vendor.token_rules,
            store=world.store,
            transport=self.wire,
            permit=self._permit,
            timeout_s=TIMEOUT_S,
            now_s=world.now,
            monotonic_s=world.loop.time,
            chance=world.random.random,
        )
        self.caller = Caller(
            vendor,
            self.keyring,
            self.wire,
            Limits(timeout_s=TIMEOUT_S),
            permit=self._permit,
            wall_s=world.now,
            now_s=world.now,
            monotonic_s=world.loop.time,
            tokens=self.tokens,
        )

    async def _permit(self) -> None:
        await asyncio.sleep(0.01)
        self.permits += 1

    async def outlives(self, seconds: float) -> bool:
        return True

    async def record(self, until: float) -> bool:
        return True

    async def call(self, name: str = "g") -> CallResult:
        return await self.caller.run(Call(CallKind.ADD, ("1",), name), self, self.record)

    async def current(self, dead: str | None = None) -> Any:
        return await self.tokens.get_token(self.keyring.get_current(self.world.now()), dead)

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Work of this process: it stops when that is killed."""
        context = copy_context()
        context.run(PROCESS.set, self.process)
        return self.world.loop.create_task(work, context=context)


class World:
    """`requested` are the times at which our requests for tokens came to the vendor, `refused` at which of
    them it made none, `dead` how often each call was answered that its token is."""

    def __init__(self, seed: int = 0) -> None:
        # A caller waits for random times, too.
        random.seed(seed)
        self.random = Random(seed)
        self.loop = VirtualLoop()
        self.issuer = TokenIssuer()
        self.store = Store(self)
        self.keys = {KEY}
        self.requested: list[float] = []
        self.refused: list[float] = []
        self.calls = 0
        self.dead: Counter[str] = Counter()
        self.fate: Callable[[Request], str] = lambda request: "ok"
        self.ledger_away: Callable[[], bool] = lambda: False
        self.on_token_request: Callable[[], None] = lambda: None

    def now(self) -> float:
        return START + self.loop.time()

    def lag_s(self) -> float:
        return 0.01 + 0.1 * self.random.random()

    def answer(self, request: Request) -> Answer:
        if request.url == "/token":
            self.requested.append(self.now())
            self.on_token_request()
            if request.headers["apikey"] not in self.keys:
                return Answer(401, b"")
            token = self.issuer.issue(request.body.decode(), self.now())
            if token is None:
                self.refused.append(self.now())
                return Answer(429, b"")
            return Answer(200, orjson.dumps({"token": token}))
        self.calls += 1
        if self.issuer.is_accepted(USER, request.headers["authorization"], self.now()):
            return Answer(200, b"")
        self.dead[request.body.decode()] += 1
        return Answer(401, b"")

    def worker(self, name: str = "w", credentials: Credentials = MINE) -> Worker:
        return Worker(self, name, credentials)

    def run(self, work: Coroutine[Any, Any, Any], for_s: float = 200_000.0) -> Any:
        """The result of the work, which belongs to the world."""
        task = self.loop.create_task(work)
        assert self.loop.run(task.done, self.loop.now + for_s, 50_000_000), "it does not end"
        return task.result()

    def end(self) -> None:
        self.loop.bury()
        assert not self.loop.complaints
