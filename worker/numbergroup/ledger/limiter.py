"""Enforces the rate limit of an account for all workers, on Redis."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from pyrate_limiter import Rate
from pyrate_limiter.abstracts.algorithm import GCRA
from redis.asyncio import Redis

from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.port import LedgerUnavailable

_STRETCH = 1.08
"""Factor by which the interval between calls is longer than the limit demands."""
_UNIT = 1_000_000
_FRESH_S = 0.05
_MIN_KEPT_MS = 60_000
_SERVER_TIME = """
local time = redis.call('TIME')
ARGV[1] = time[1] * 1000 + math.floor(time[2] / 1000)
"""
# Reduces the requested number of calls to what the limit permits now, but at least to one; for that number
# GCRA decides. KEYS and ARGV are GCRA's: now (ms), weight, lifetime of the key (ms), number of rates, µs a
# call, burst. Answer: number of permitted calls, 0; or 0, ms until the next call is permitted.
_LIMIT_WEIGHT = """
local now_us, emission = tonumber(ARGV[1]) * 1000, tonumber(ARGV[5])
local busy_us = math.max(now_us, tonumber(redis.call('HGET', KEYS[1], 'tat1') or 0))
local room = math.floor((now_us + tonumber(ARGV[6]) * emission - busy_us) / emission)
ARGV[2] = math.max(1, math.min(tonumber(ARGV[2]), room))
local answer = gcra()
if answer[1] < 0 then return {ARGV[2], 0} end
return {0, answer[2]}
"""


class RedisLimiter:
    """Implements `numbergroup.ledger.port.Limiter` with GCRA in Redis.

    All workers share the limit, and it survives a restart. Burst and window are chosen so that no sliding
    second has more than `calls_per_second` calls, even if requests arrive at the vendor a few hundredths of a
    second closer together than they were sent. The server's clock counts, because workers' clocks differ;
    `wall_ms` replaces it in tests. `monotonic_s` measures how old a permit is when it arrives.
    """

    def __init__(
        self,
        client: Redis,
        account: str,
        calls_per_second: float,
        *,
        wall_ms: Callable[[], int] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s = _STRETCH / calls_per_second
        burst = max(1, int(calls_per_second // 50))
        rate = Rate(max(1, round(calls_per_second * _UNIT)), round(1000 * _STRETCH * _UNIT), burst)
        kept_ms = max(_MIN_KEPT_MS, round(2000 * burst * self._interval_s))
        self._key = keys.rate(account)
        self._client = client
        gcra = GCRA()
        self._gcra_args: list[int | float] = [kept_ms, 1, *gcra.redis_args([rate])]
        script = f"local function gcra()\n{gcra.redis_script()}\nend\n{_LIMIT_WEIGHT}"
        self._acquire_script = client.register_script(script if wall_ms else _SERVER_TIME + script)
        self._wall_ms = wall_ms or (lambda: 0)
        self._sleep = sleep
        self._monotonic_s = monotonic_s

    async def acquire(self, max_calls: int = 1) -> int:
        has_retried = False
        while True:
            requested_at = self._monotonic_s()
            async with translate_errors(LedgerUnavailable):
                granted, wait_ms = await self._acquire_script(
                    keys=[self._key], args=[self._wall_ms(), max_calls, *self._gcra_args]
                )
                wait_s = (wait_ms or 1) / 1000
                if granted:
                    if has_retried or self._monotonic_s() - requested_at <= _FRESH_S:
                        return int(granted)
                    # The permit is old, since the process was frozen or the server slow: request another one.
                    # Only once, because a server may always be slow.
                    has_retried = True
                    continue
                if wait_s > self._interval_s + 0.001:
                    # No call has to wait for so long: the server's clock was set back behind the stored time.
                    await self._client.delete(self._key)
                    wait_s = max(1.0, self._interval_s)
            await self._sleep(wait_s)
