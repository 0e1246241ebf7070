"""The shared rate limit of an account, on Redis."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pyrate_limiter import Rate
from pyrate_limiter.abstracts.algorithm import GCRA
from pyrate_limiter.buckets.redis_state import RedisStateStore
from redis.asyncio import Redis

from worker.ledger import keys
from worker.ledger.client import mapped
from worker.ledger.port import LedgerUnavailable

_STRETCH = 1.08
"""How much more than its share of a second each call is given."""
_UNIT = 1_000_000
_FRESH_S = 0.05
_LEAST_KEPT_MS = 60_000
_SERVER_TIME = """
local time = redis.call('TIME')
ARGV[1] = time[1] * 1000 + math.floor(time[2] / 1000)
"""


class RedisLimiter:
    """GCRA in Redis, so that the limit is one for all workers and survives a restart.

    The burst and the window are chosen so that no sliding second has more than `calls_per_second`
    calls, also when requests on their way to the vendor close up by a few hundredths of a second.
    Time is the server's: workers' clocks differ, and are set back. `wall_ms` takes its place in tests.
    `monotonic_s` tells whether a permit came at once, or when others had left meanwhile.
    """

    def __init__(
        self,
        client: Redis,
        account: str,
        calls_per_second: float,
        wall_ms: Callable[[], int] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s = _STRETCH / calls_per_second
        burst = max(1, int(calls_per_second // 50))
        self._rate = Rate(max(1, round(calls_per_second * _UNIT)), round(1000 * _STRETCH * _UNIT), burst)
        kept_ms = max(_LEAST_KEPT_MS, round(2000 * burst * self._interval_s))
        self._store = RedisStateStore(client, keys.rate(account), kept_ms)
        self._algorithm = GCRA() if wall_ms else _ByServerTime()
        self._wall_ms = wall_ms or (lambda: 0)
        self._sleep = sleep
        self._monotonic_s = monotonic_s

    async def acquire(self) -> None:
        held_up = False
        while True:
            asked = self._monotonic_s()
            async with mapped(LedgerUnavailable):
                check: Any = self._store.check  # untyped in the library
                decision = await check(self._algorithm, [self._rate], self._wall_ms(), 1)
                wait_s = (decision.retry_after_ms or 1) / 1000
                if decision.allowed:
                    if held_up or self._monotonic_s() - asked <= _FRESH_S:
                        return
                    # The process was frozen, or the server slow. Once: a server that is always slow may have
                    # its way.
                    held_up = True
                    continue
                if wait_s > self._interval_s + 0.001:
                    # Nobody rightly waits for so long: the clock was set back, the state lies ahead of it.
                    await self._store.reset()  # type: ignore[misc]
                    wait_s = max(1.0, self._interval_s)
            await self._sleep(wait_s)


class _ByServerTime(GCRA):
    """GCRA that overwrites the time in its first argument (ms) with the server's."""

    def redis_script(self) -> str:
        return _SERVER_TIME + (super().redis_script() or "")
