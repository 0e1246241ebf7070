"""Gets permits from the rate limiter for the engine, and lets one worker at a time probe an account."""

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
    """Grants each account's permits in the order of its requests. Run `run` as one task per account.

    `wait_until_caught_up` returns when the commands that wait in the broker are in memory: a batch formed
    earlier has fewer commands to merge. `dispatch` passes an event to the engine, with the time (monotonic
    seconds) when its permit was granted. `use_permit` does the same with a granted permit as soon as a batch
    may be formed; it returns whether a probe was started. `probe_s` is longer than a call lasts: after that
    many seconds, another worker may probe the account.
    """

    def __init__(
        self,
        limiters: Mapping[str, Limiter],
        control_store: ControlStore,
        clock: Clock,
        *,
        owner: str,
        probe_s: float,
        jitter: Callable[[], float],
        wait_until_caught_up: Callable[[], Awaitable[None]],
        dispatch: Callable[[Event, float], bool],
        use_permit: Callable[[PermitGranted, float], Awaitable[bool]],
    ) -> None:
        self._limiters = limiters
        self._control_store = control_store
        self._clock = clock
        self._owner = owner
        self._probe_s = probe_s
        self._jitter = jitter
        self._wait_until_caught_up = wait_until_caught_up
        self._dispatch = dispatch
        self._use_permit = use_permit
        self._requests: dict[str, deque[bool]] = {name: deque() for name in limiters}
        """For each account, in order: whether the permit is for a probe."""
        self._has_requests = {name: asyncio.Event() for name in limiters}
        self._notices: dict[str, BreakerNotice | None] = {}
        self._has_notices = asyncio.Event()

    def request(self, account: str, *, probe: bool) -> None:
        """Queue a request for one permit."""
        self._requests[account].append(probe)
        self._has_requests[account].set()

    def announce_breaker(self, account: str, notice: BreakerNotice | None) -> None:
        """Queue a notice to the other workers: the account's breaker opened, or closed (`None`)."""
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
        self._has_notices.set()

    async def run(self, account: str) -> None:
        """Grant the account's permits until cancelled: several at once, if the limiter has them."""
        requests, has_requests = self._requests[account], self._has_requests[account]
        while True:
            await has_requests.wait()
            while requests:
                await self._grant(account, requests, probe=requests[0])
            has_requests.clear()

    async def _grant(self, account: str, requests: deque[bool], *, probe: bool) -> None:
        if probe and not await self._may_probe(account):
            requests.popleft()
            now = self._clock.now()
            self._dispatch(ProbeDenied(account, now, self._jitter()), self._clock.monotonic())
            return
        await self._wait_until_caught_up()
        limit = 1 if probe else sum(1 for _ in takewhile(not_, requests))
        granted = await retry_until_available(
            "getting permits from the rate limiter", partial(self._limiters[account].acquire, limit)
        )
        # All of them were granted now, although forming the first batches delays the use of the last.
        granted_at = self._clock.monotonic()
        for _ in range(granted):
            requests.popleft()
            has_probed = await self._use_permit(PermitGranted(account, self._clock.now(), probe), granted_at)
            if probe and not has_probed:
                await self.end_probe(account)

    async def end_probe(self, account: str) -> None:
        """Allow other workers to probe the account."""
        try:
            await self._control_store.release_probe(account, self._owner)
        except LedgerUnavailable as error:
            log.warning(
                "other workers cannot probe the account for a while: the ledger is unavailable",
                account=account,
                error=str(error),
            )

    async def write_notices(self) -> None:
        """Write notices to the ledger until cancelled; only the latest of each account."""
        while True:
            await self._has_notices.wait()
            self._has_notices.clear()
            while self._notices:
                account, notice = self._notices.popitem()
                await retry_until_available(
                    "publishing the breaker's state",
                    partial(self._control_store.publish_breaker, account, notice),
                )

    async def _may_probe(self, account: str) -> bool:
        claim = partial(self._control_store.claim_probe, account, self._owner, self._probe_s)
        is_claimed: bool = await retry_until_available("claiming the probe", claim)
        return is_claimed
