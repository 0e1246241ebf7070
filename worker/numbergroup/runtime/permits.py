"""Permits: what the engine is granted before it sends, and who of all workers may probe an account."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import takewhile
from operator import not_

from numbergroup.engine.events import Event, PermitGranted, ProbeDenied
from numbergroup.engine.policy import BreakerNotice
from numbergroup.ledger.port import ControlStore, LedgerUnavailable, Limiter
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.retrying import retry_until_available

log = get_logger("permits")


class PermitQueue:
    """Grants permits in the order of asking, each account's for itself. `run` each account's as a task.

    `caught_up` returns when what waits in the broker is in memory: what is cut before has less to merge.
    `dispatch` hands an event to the engine, with the time (monotonic seconds) when its permit was granted;
    `use` does so with a granted permit, as soon as a batch may be formed, and returns whether a call that
    probes came of it. `probe_s`: how long one may take until another worker may send
    one, too: longer than a call lasts.
    """

    def __init__(
        self,
        limiters: Mapping[str, Limiter],
        control_store: ControlStore,
        clock: Clock,
        owner: str,
        probe_s: float,
        jitter: Callable[[], float],
        caught_up: Callable[[], Awaitable[None]],
        dispatch: Callable[[Event, float], bool],
        use: Callable[[PermitGranted, float], Awaitable[bool]],
    ) -> None:
        self._limiters = limiters
        self._control_store = control_store
        self._clock = clock
        self._owner = owner
        self._probe_s = probe_s
        self._jitter = jitter
        self._caught_up = caught_up
        self._dispatch = dispatch
        self._use = use
        self._wanted: dict[str, deque[bool]] = {name: deque() for name in limiters}
        self._asked = {name: asyncio.Event() for name in limiters}
        self._notices: dict[str, BreakerNotice | None] = {}
        self._noticed = asyncio.Event()

    def request(self, account: str, *, probe: bool) -> None:
        self._wanted[account].append(probe)
        self._asked[account].set()

    def announce_breaker(self, account: str, notice: BreakerNotice | None) -> None:
        """Let the other workers know, as soon as the ledger takes it."""
        if notice is None:
            log.info("the vendor answers again: calls come back one by one", account=account)
        else:
            log.error(
                "most calls fail: no more are made until a probe goes through",
                account=account,
                probe_in_s=round(max(0.0, notice.until - self._clock.now()), 1),
                times_in_a_row=notice.failures,
            )
        self._notices[account] = notice
        self._noticed.set()

    async def run(self, account: str) -> None:
        """Grant what is wanted of the account, until cancelled: at once what may be had at once."""
        wanted, asked = self._wanted[account], self._asked[account]
        while True:
            await asked.wait()
            while wanted:
                await self._grant(account, wanted, probe=wanted[0])
            asked.clear()

    async def _grant(self, account: str, wanted: deque[bool], *, probe: bool) -> None:
        if probe and not await self._may_probe(account):
            wanted.popleft()
            now = self._clock.now()
            self._dispatch(ProbeDenied(account, now, self._jitter()), self._clock.monotonic())
            return
        await self._caught_up()
        most = 1 if probe else sum(1 for _ in takewhile(not_, wanted))
        granted = await retry_until_available("rate limit", partial(self._limiters[account].acquire, most))
        # While the batches of the first ones are cut, the last ones grow older.
        at = self._clock.monotonic()
        for _ in range(granted):
            wanted.popleft()
            used = await self._use(PermitGranted(account, self._clock.now(), probe), at)
            if probe and not used:
                await self.end_probe(account)

    async def end_probe(self, account: str) -> None:
        """The probe is over: another worker may send one."""
        try:
            await self._control_store.release_probe(account, self._owner)
        except LedgerUnavailable as error:
            log.warning("others cannot probe the account for a while", account=account, error=str(error))

    async def write_notices(self) -> None:
        """Write notices until cancelled; of one account only the latest."""
        while True:
            await self._noticed.wait()
            self._noticed.clear()
            while self._notices:
                account, notice = self._notices.popitem()
                await retry_until_available(
                    "telling of a breaker", partial(self._control_store.publish_breaker, account, notice)
                )

    async def _may_probe(self, account: str) -> bool:
        take = partial(self._control_store.claim_probe, account, self._owner, self._probe_s)
        taken: bool = await retry_until_available("probing", take)
        return taken
