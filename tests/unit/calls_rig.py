"""One account's caller against the sandbox over HTTP; clocks, sleep, permits and lease are the test's."""

from collections.abc import Callable, Iterator
from typing import Any, Self

from tenacity import wait_none

from numbergroup.engine.calls import Call, CallKind, Outcome
from numbergroup.engine.commands import CommandKind
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.sandbox.faults import Fault
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import Sandbox, start
from numbergroup.vendors.attempt import CallResult, Limits
from numbergroup.vendors.classification import FailureClass, FailureClassifier
from numbergroup.vendors.client import Caller
from numbergroup.vendors.http import HttpTransport
from numbergroup.vendors.keyring import Keyring
from numbergroup.vendors.nxcloud import CLASSES, NXCloud
from numbergroup.vendors.port import Answer, Capabilities, Credentials, Request

KEY, SECRET = "sandbox-key", "sandbox-secret"
GROUP = "6a7sd3402px21429s04"
A, B, C = "85211111114", "85235753351", "85235753311"

ADD = Call(CallKind.ADD, (A,), GROUP)
CREATE = Call(CallKind.CREATE, (A, B), group_name="groupA", remark="[ng:1]", marker="ng:1")
FIND = Call(CallKind.FIND_CREATED)

MIB = 1024 * 1024


class Watched:
    """A provider that remembers the requests it built; `bug` names the method that raises."""

    def __init__(self, provider: NXCloud, bug: str = "") -> None:
        self._provider = provider
        self._bug = bug
        self.requests: list[Request] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def build_request(self, call: Call, wall_ms: int, credentials: Credentials) -> Request:
        if self._bug == "build_request":
            raise ZeroDivisionError
        self.requests.append(self._provider.build_request(call, wall_ms, credentials))
        return self.requests[-1]

    def parse_answer(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        if self._bug == "parse_answer":
            raise ZeroDivisionError
        return self._provider.parse_answer(call, answer, credentials)


class Rig:
    """`slept_s` and `permits` count what the caller asked for; `may_send` is what the guard says, and may be
    a function of how often it was asked. Every sleep moves the clocks."""

    def __init__(self, *, page_size: int = 1000, idempotent: bool = True, **limits: Any) -> None:
        self._page_size = page_size
        self._idempotent = idempotent
        self._limits = Limits(**{"connect_timeout_s": 5.0, "timeout_s": 5.0, **limits})
        self.wall_s = 1_700_000_000.0
        self.now_s = 1_700_000_000.0
        self.vendor_ahead_s = 0.0
        self.slept_s: list[float] = []
        self.permits = 0
        self.keyring = Keyring("default", Credentials(KEY, SECRET))
        self.is_well: Callable[[], bool] = lambda: True
        self.may_begin: Callable[[], bool] = lambda: True
        self.must_wait: Callable[[], bool] = lambda: False
        self.permits_left: int | None = None
        self.may_send: bool | Callable[[int], bool] = True
        self.asked = 0
        self.intents: list[float] = []
        self.sent_before_intent: list[int] = []
        self.takes_intents = True
        self.frozen_s: Iterator[float] = iter(())
        self.monotonic_s: Callable[[], float] | None = None

    async def __aenter__(self) -> Self:
        self.sandbox: Sandbox = await start(
            Options(), port=0, clock=lambda: round((self.wall_s + self.vendor_ahead_s) * 1000)
        )
        limits = self._limits
        self.transport = HttpTransport(4, limits.connect_timeout_s, limits.timeout_s, self._monotonic)
        self.use(self.sandbox.url)
        return self

    def use(
        self,
        base_url: str,
        bug: str = "",
        *,
        unknown: FailureClass = FailureClass.REFUSED,
        **codes: FailureClass,
    ) -> None:
        """Call this vendor from now on, with that bug of ours; `http_500=` puts a code in a class."""
        named = {code.replace("_", "-"): found for code, found in codes.items()}
        classes = FailureClassifier(
            {**CLASSES.codes, **named}, {"rate limit": FailureClass.THROTTLED}, unknown
        )
        can = Capabilities(
            frozenset(CommandKind), 1000, page_size=self._page_size, idempotent=self._idempotent
        )
        vendor = NXCloud(base_url, classes=classes, capabilities=can)
        self.provider = Watched(vendor, bug)
        self.caller = Caller(
            self.provider,
            self.keyring,
            self.transport,
            self._limits,
            permit=self._permit,
            wall_s=lambda: self.wall_s,
            sleep=self._sleep,
            wait=wait_none(),
            now_s=lambda: self.now_s,
            monotonic_s=self._monotonic,
        )

    async def __aexit__(self, *_: object) -> None:
        await self.caller.close()
        await self.sandbox.stop()

    def fault(self, *faults: Fault) -> None:
        self.sandbox.state.faults.add(faults)

    async def run(self, call: Call, *, once: bool = False) -> CallResult:
        return await self.caller.run(
            call,
            self,
            self.record_intent,
            once=once,
            is_well=self.is_well,
            may_begin=self.may_begin,
            must_wait=self.must_wait,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.wall_s += 1.0
        self.now_s += 1.0

    def _monotonic(self) -> float:
        """For how long the process was frozen, each time that it looks."""
        return self.monotonic_s() if self.monotonic_s else next(self.frozen_s, 0.0)

    async def _permit(self) -> None:
        if self.permits_left is not None:
            if self.permits_left == 0:
                raise LedgerUnavailable("away")
            self.permits_left -= 1
        self.permits += 1

    async def outlives(self, seconds: float) -> bool:
        assert seconds == self._limits.timeout_s
        self.asked += 1
        return self.may_send if isinstance(self.may_send, bool) else self.may_send(self.asked)

    async def record_intent(self, until: float) -> bool:
        self.intents.append(until)
        self.sent_before_intent.append(self.arrived)
        return self.takes_intents

    @property
    def arrived(self) -> int:
        """How many calls reached the vendor."""
        return self.sandbox.state.calls.total

    def members(self, group_id: str = GROUP) -> list[str] | None:
        group = self.sandbox.state.groups.get(KEY, group_id)
        return None if group is None else list(group.members)

    def groups(self) -> int:
        return self.sandbox.state.groups.count(KEY)
