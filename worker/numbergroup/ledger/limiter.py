"""The shared rate limit of an account, on Redis."""

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
"""How much more than its share of a second each call is given."""
_UNIT = 1_000_000
_FRESH_S = 0.05
_LEAST_KEPT_MS = 60_000
_SERVER_TIME = """
local time = redis.call('TIME')
ARGV[1] = time[1] * 1000 + math.floor(time[2] / 1000)
"""
# Of what is asked for, as many as there is room for, and one in any case: whether that one may be, and how
# long it has to wait if not, is GCRA's to say. KEYS and ARGV are GCRA's: (ms) now, weight, how long it is
# kept (ms), number of rates, µs a call, burst. Answer: how many, 0; or 0, in how many ms one may be.
_AS_MANY = """
local now_us, emission = tonumber(ARGV[1]) * 1000, tonumber(ARGV[5])
local busy_us = math.max(now_us, tonumber(redis.call('HGET', KEYS[1], 'tat1') or 0))
local room = math.floor((now_us + tonumber(ARGV[6]) * emission - busy_us) / emission)
ARGV[2] = math.max(1, math.min(tonumber(ARGV[2]), room))
local answer = gcra()
if answer[1] < 0 then return {ARGV[2], 0} end
return {0, answer[2]}
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
        rate = Rate(max(1, round(calls_per_second * _UNIT)), round(1000 * _STRETCH * _UNIT), burst)
        kept_ms = max(_LEAST_KEPT_MS, round(2000 * burst * self._interval_s))
        self._key = keys.rate(account)
        self._client = client
        gcra = GCRA()
        self._said: list[int | float] = [kept_ms, 1, *gcra.redis_args([rate])]
        script = f"local function gcra()\n{gcra.redis_script()}\nend\n{_AS_MANY}"
        self._take = client.register_script(script if wall_ms else _SERVER_TIME + script)
        self._wall_ms = wall_ms or (lambda: 0)
        self._sleep = sleep
        self._monotonic_s = monotonic_s

    async def acquire(self, most: int = 1) -> int:
        held_up = False
        while True:
            asked = self._monotonic_s()
            async with translate_errors(LedgerUnavailable):
                granted, wait_ms = await self._take(
                    keys=[self._key], args=[self._wall_ms(), most, *self._said]
                )
                wait_s = (wait_ms or 1) / 1000
                if granted:
                    if held_up or self._monotonic_s() - asked <= _FRESH_S:
                        return int(granted)
                    # The process was frozen, or the server slow. Once: a server that is always slow may have
                    # its way.
                    held_up = True
                    continue
                if wait_s > self._interval_s + 0.001:
                    # Nobody rightly waits for so long: the clock was set back, the state lies ahead of it.
                    await self._client.delete(self._key)
                    wait_s = max(1.0, self._interval_s)
            await self._sleep(wait_s)
