"""The shared rate limit: never more than was allowed in any sliding second, and hardly less."""

import asyncio
import math
import time
from collections import deque
from random import Random

import pytest
from deadlines import deadline, room
from integration_rig import Rig

from numbergroup.ledger.limiter import RedisLimiter

RATES = [0.5, 1, 10, 50]


class Simulated:
    """A clock that only sleeping moves. Sleepers wake in the order of their times."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def wall_ms(self) -> int:
        return int(self.now_s * 1000)

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


def most_in_a_window(times_s: list[float], window_s: float) -> int:
    """The most of these moments that fall into any window, the second end of it excluded."""
    inside: deque[float] = deque()
    most = 0
    for moment in times_s:
        inside.append(moment)
        while inside[0] <= moment - window_s + 1e-6:
            inside.popleft()
        most = max(most, len(inside))
    return most


def limiter(rig: Rig, rate: float, clock: Simulated, account: str = "default") -> RedisLimiter:
    return RedisLimiter(
        rig.client, account, rate, wall_ms=clock.wall_ms, sleep=clock.sleep, monotonic_s=lambda: clock.now_s
    )


async def granted(rig: Rig, rate: float, count: int, random: Random, at_once: int = 1) -> list[float]:
    """When `count` permits were granted to somebody who comes in a rush, and rests now and then, and asks for
    up to so many at once."""
    clock = Simulated()
    one = limiter(rig, rate, clock)
    moments = []
    for n in range(count):
        # A rest of any length, then a rush that is longer than what a second allows.
        if n % max(10, round(1.2 * rate)) == 0:
            await clock.sleep(random.choice([0.001, 0.02, 0.4, 3.0]) * max(1.0, 1 / rate))
        some = await one.acquire(random.randint(1, at_once))
        moments += [clock.now_s] * some
    return moments


@pytest.mark.parametrize("rate", RATES)
async def test_never_more_in_any_second(rig: Rig, rate: float) -> None:
    """However calls arrive, in a rush or after a rest, no sliding second has more of them than allowed."""
    window_s = max(1.0, 1 / rate)
    moments = await granted(rig, rate, 120, Random(rate))
    assert most_in_a_window(moments, window_s) <= max(1, rate)


@pytest.mark.redis_server
async def test_a_thousand_a_second(redis_url: str) -> None:
    """Nor is it so where many permits are granted at once."""
    async with Rig(redis_url) as rig:
        await rig.client.flushall()
        moments = await granted(rig, 1000, 1700, Random(3))
        assert 900 <= most_in_a_window(moments, 1.0) <= 1000


@pytest.mark.parametrize("rate", [10, 100, 1000])
async def test_several_at_once(rig: Rig, rate: float) -> None:
    """Several permits that are asked for at once are those that would have been granted one by one: as many
    as there are at that moment, never more than asked, and none is waited for beyond the first."""
    clock = Simulated()
    one, by_one = limiter(rig, rate, clock), limiter(rig, rate, clock, "another")
    at_once = await one.acquire(1000)
    assert at_once == max(1, rate // 50)
    assert await one.acquire(1000) == 1
    began = clock.now_s
    for _ in range(at_once + 1):
        await by_one.acquire()
    assert clock.now_s == pytest.approx(began + 1.08 / rate, abs=0.002)
    await clock.sleep(10.0)
    assert await one.acquire(1) == 1
    assert await limiter(rig, rate, clock).acquire(at_once) == max(1, at_once - 1)


@pytest.mark.parametrize("at_once", [2, 50])
@pytest.mark.parametrize("rate", [10, 100, 300])
async def test_never_more_when_several_are_asked_for(rig: Rig, rate: float, at_once: int) -> None:
    """No sliding second has more of them than allowed then, either."""
    moments = await granted(rig, rate, 150, Random(rate), at_once)
    assert most_in_a_window(moments, 1.0) <= rate


@pytest.mark.parametrize("rate", [*RATES, 1000])
async def test_hardly_less(rig: Rig, rate: float) -> None:
    """Under load nearly all of what is allowed is used, and none of it is put off for no reason."""
    clock = Simulated()
    one = limiter(rig, rate, clock)
    began, count = clock.now_s, 60 if rate < 1000 else 250
    for _ in range(count):
        await one.acquire()
    seconds = clock.now_s - began
    assert count / seconds >= 0.9 * rate


@pytest.mark.parametrize("rate", [1, 10, 50])
async def test_calls_that_close_up_on_their_way(rig: Rig, rate: float) -> None:
    """Calls that take up to 50 ms longer or shorter to the vendor do not break its limit there."""
    random, clock = Random(1), Simulated()
    one = limiter(rig, rate, clock)
    arrived = []
    for _ in range(80):
        await one.acquire()
        arrived.append(clock.now_s + random.uniform(0, 0.05))
    assert most_in_a_window(sorted(arrived), 1.0) <= rate


async def test_two_limiters_share_one_limit(rig: Rig) -> None:
    """Two workers together make no more calls than one alone."""
    random, clock = Random(2), Simulated()
    both = [limiter(rig, 10, clock), limiter(rig, 10, clock)]
    moments = []
    for _ in range(80):
        await random.choice(both).acquire()
        moments.append(clock.now_s)
    assert most_in_a_window(moments, 1.0) <= 10


async def test_accounts_have_limits_of_their_own(rig: Rig) -> None:
    """One account's calls take nothing from another's."""
    clock = Simulated()
    began = clock.now_s
    for account in ("a", "b", "c"):
        await limiter(rig, 1, clock, account).acquire()
    assert clock.now_s == began


async def test_a_restart_does_not_begin_anew(rig: Rig) -> None:
    """A worker that starts right after another made its calls counts those too."""
    clock = Simulated()
    moments = []
    for _ in range(100):
        await limiter(rig, 10, clock).acquire()
        moments.append(clock.now_s)
    assert most_in_a_window(moments, 1.0) <= 10


async def test_the_time_is_the_servers(rig: Rig) -> None:
    """Two limiters without a clock of their own keep to one limit, whatever their machines' clocks."""
    both = [RedisLimiter(rig.client, "default", 50) for _ in range(2)]
    moments: list[float] = []

    async def take(one: RedisLimiter) -> None:
        for _ in range(10):
            await one.acquire()
            moments.append(asyncio.get_running_loop().time())

    began = asyncio.get_running_loop().time()
    async with deadline(20):
        await asyncio.gather(*map(take, both))
    # 20 permits at 50 a second, two of them at once.
    assert moments[-1] - began >= 18 / 50


@pytest.mark.redis_server
async def test_no_clock_but_the_servers(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose clock is far ahead, or far behind, has its share like any other, and no pause."""
    async with Rig(redis_url) as rig:
        await rig.client.flushall()
        began = asyncio.get_running_loop().time()
        for hours in (0, 10, -10, 0):
            with monkeypatch.context() as patch:
                off_s = time.time() + hours * 3600.0
                patch.setattr(time, "time", lambda off_s=off_s: off_s)
                patch.setattr(time, "time_ns", lambda off_s=off_s: int(off_s * 1e9))
                async with deadline(5):
                    await RedisLimiter(rig.client, "default", 10).acquire()
        assert 0.25 <= asyncio.get_running_loop().time() - began < room(1.0)


@pytest.mark.parametrize("back_s", [1.5, 3600.0, 1e6])
async def test_a_clock_that_is_set_back(rig: Rig, back_s: float) -> None:
    """When the server's clock is set back, calls go on after a pause of a second or two, and not an hour."""
    clock = Simulated()
    one = limiter(rig, 10, clock)
    for _ in range(20):
        await one.acquire()
    clock.now_s -= back_s
    began = clock.now_s
    await one.acquire()
    assert 1.0 <= clock.now_s - began < 2.5


@pytest.mark.parametrize("rate", [0.0001, 0.3, 1.5, 33.3, 10_000, 1_000_000, math.pi])
async def test_any_rate(rig: Rig, rate: float) -> None:
    """Rates need not be whole, nor be anywhere near one a second."""
    clock = Simulated()
    one = limiter(rig, rate, clock)
    began = clock.now_s
    for _ in range(20):
        await one.acquire()
    seconds = clock.now_s - began
    burst = max(1, rate // 50)
    assert seconds >= (20 - burst) / rate
    assert seconds <= 20 * 1.09 / rate + 0.05


@pytest.mark.parametrize(("took_s", "late"), [(0.01, False), (0.2, True)])
async def test_a_permit_that_comes_late(rig: Rig, took_s: float, late: bool) -> None:
    """A permit that reached a frozen process after a while is thrown away: it would go beside the next."""
    clock, looks = Simulated(), iter([0.0, took_s])
    one = RedisLimiter(
        rig.client,
        "default",
        10,
        wall_ms=clock.wall_ms,
        sleep=clock.sleep,
        monotonic_s=lambda: next(looks, took_s),
    )
    began = clock.now_s
    await one.acquire()
    assert (clock.now_s > began) is late
    # Once only: a server that is slow every time does not stop the work.
    looks = iter(range(1, 10))
    await one.acquire()
    assert next(looks) <= 7
