"""Workers share one token for days, whatever happens to them: never too many, and no call suffers twice."""

import asyncio
from bisect import bisect_right
from collections import Counter

import pytest
from simulation.loop import PROCESS
from token_world import START, Worker, World

from numbergroup.vendors.port import Request

DAY_S = 86_400.0
HOUR_S = 3600.0
EVERY_S = 40
TROUBLES = ("kill", "kill in mid-refresh", "accident", "ledger", "freeze")


class Day:
    """Three workers for a day, each with a call every 40 s on average; so many `troubles`, of `kinds`."""

    def __init__(self, seed: int, troubles: int, kinds: tuple[str, ...] = TROUBLES) -> None:
        self.world = World(seed)
        self.random = self.world.random
        self.troubles = troubles
        self.kinds = kinds
        self.workers = [self.world.worker(f"w-{n}") for n in range(3)]
        self.calls = 0
        self.outcomes: Counter[str] = Counter()
        self.accidents: list[float] = []
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.kills = 0
        self.lost = 0
        self.kill_next = False
        self.away_until = 0.0
        self.requester: Worker | None = None
        self.world.fate = self.fate
        self.world.ledger_away = lambda: self.world.loop.now < self.away_until and self.random.random() < 0.7
        self.world.on_token_request = self.token_requested

    def fate(self, request: Request) -> str:
        if request.url != "/token":
            return "ok"
        self.requester = next(one for one in self.workers if one.process is PROCESS.get())
        if self.troubles and self.random.random() < 0.15:
            self.lost += 1
            return self.random.choice(["lost", "late", "never", "down", "not connected"])
        return "ok"

    def token_requested(self) -> None:
        if self.kill_next and self.requester is not None:
            self.kill_next = False
            self.kill(self.workers.index(self.requester))

    def kill(self, place: int) -> None:
        self.kills += 1
        self.workers[place].process.alive = False
        self.world.loop.later(self.random.uniform(0.5, 20), self.begin, place)

    def begin(self, place: int) -> None:
        worker = self.workers[place] = self.world.worker(f"w-{place}-{self.kills}")
        worker.start(self.work(worker))

    async def work(self, worker: Worker) -> None:
        while self.world.loop.now < DAY_S:
            await asyncio.sleep(self.random.expovariate(1 / EVERY_S))
            self.calls += 1
            worker.start(self.call(worker, f"call-{self.calls}"))

    async def call(self, worker: Worker, name: str) -> None:
        self.began[name] = self.world.loop.now
        ended = await worker.call(name)
        self.ended[name] = self.world.loop.now
        self.outcomes[type(ended.outcome).__name__] += 1

    def trouble(self) -> None:
        match self.random.choice(self.kinds):
            case "kill":
                place = self.random.randrange(3)
                if self.workers[place].process.alive:
                    self.kill(place)
            case "kill in mid-refresh":
                self.kill_next = True
            case "accident":
                self.accidents.append(self.world.loop.now)
                self.world.issuer.issue("ann", self.world.now())
            case "ledger":
                self.away_until = self.world.loop.now + self.random.uniform(1, 60)
            case "freeze":
                process = self.random.choice(self.workers).process
                process.frozen = True
                self.world.loop.later(self.random.uniform(0.5, 60), self.world.loop.thaw, process)

    def run(self) -> None:
        for place in range(3):
            self.workers[place].start(self.work(self.workers[place]))
        for _ in range(self.troubles):
            self.world.loop.later(self.random.uniform(0, DAY_S), self.trouble)
        self.world.loop.run(lambda: False, DAY_S + 600, 100_000_000)
        self.world.end()

    def accidents_met(self, name: str) -> int:
        """How many the call may have met: those that it lives through, and those that no worker had noticed
        when it began, for none has made a token since."""
        began = self.began[name]
        ours = max((at - START for at in self.world.requested if at - START < began), default=0.0)
        return sum(ours <= at <= self.ended.get(name, began + 60) for at in self.accidents)


def most_in_an_hour(times: list[float]) -> int:
    times = sorted(times)
    return max(index + 1 - bisect_right(times, moment - HOUR_S) for index, moment in enumerate(times))


def test_a_quiet_day() -> None:
    """One token an hour, shortly before the last one ends, by one worker; and no call fails."""
    day = Day(seed=0, troubles=0)
    day.run()
    assert day.outcomes == {"Applied": day.calls}
    assert day.calls > 5_000
    assert 24 <= day.world.issuer.count_issued("ann") <= 27
    assert len(day.world.requested) == day.world.issuer.count_issued("ann")
    # The calls that are on their way when it is made.
    assert sum(day.world.dead.values()) <= 20
    assert max(day.world.dead.values(), default=0) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 205))
def test_a_bad_day_with_nobody_else(seed: int) -> None:
    """Where nobody else makes tokens, the vendor refuses us none, and no call meets two dead ones."""
    day = Day(seed, 60, tuple(kind for kind in TROUBLES if kind != "accident"))
    day.run()
    assert day.kills
    assert most_in_an_hour(day.world.requested) <= 10
    assert day.world.issuer.count_refused("ann") == 0
    assert max(day.world.dead.values(), default=0) <= 1
    assert day.outcomes["Applied"] >= 0.95 * day.calls


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 105))
def test_a_bad_day(seed: int) -> None:
    """Workers die, also while they make one, and freeze; somebody makes tokens by accident; the ledger is
    away; requests and answers get lost. Never are more made than may be, where nobody else makes any, and no
    call meets two dead ones."""
    day = Day(seed, troubles=60)
    day.run()
    issuer = day.world.issuer
    assert most_in_an_hour(day.world.requested) <= 10
    assert day.accidents
    assert day.kills
    for at in day.world.refused:
        assert any(at - HOUR_S < START + made <= at for made in day.accidents), "we have used it up ourselves"
    needed = 27 + len(day.accidents) + day.kills + day.lost
    assert 24 <= issuer.count_issued("ann") <= needed + len(day.accidents)
    for name, times in day.world.dead.items():
        assert times <= 1 + day.accidents_met(name), name
    assert set(day.outcomes) <= {"Applied", "Unavailable", "Throttled", "AccountFault"}
    assert day.outcomes["Applied"] >= 0.95 * day.calls
    assert day.outcomes["AccountFault"] <= len(day.accidents)
