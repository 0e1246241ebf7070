"""What the runs of all contenders say, side by side; and whether it is what was to be reached."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.contender import Contender
from bench.figures import median
from bench.throughput import Run

RAW = {"redis": "raw-redis", "rabbitmq": "raw-rabbitmq"}
OURS = ("redis-streams", "redis-arrays", "redis-lists", "rabbitmq", "rabbitmq-arrays")
_ONE_BY_ONE = {"redis": "redis-streams", "rabbitmq": "rabbitmq"}
_IN_ARRAYS = {"redis": "redis-arrays", "rabbitmq": "rabbitmq-arrays"}
_SLOW_PEERS = ("celery-redis", "celery-rabbitmq", "dramatiq-redis", "dramatiq-rabbitmq")

Figures = Mapping[str, Any]


def compared(contenders: Sequence[Contender], runs: Sequence[Run], failed: Mapping[str, str]) -> Figures:
    """Of each contender, by its key: the medians of its runs, the runs themselves, its share of its broker's
    raw limit; `peers`: the keys of those that are neither ours nor raw. `failed`: why one has no figures."""
    found: dict[str, dict[str, Any]] = {}
    for contender in contenders:
        own = [run for run in runs if run.key == contender.key]
        if not own:
            continue
        speeds = [run.per_second for run in own]
        found[contender.key] = {
            "key": contender.key,
            "name": contender.name,
            "broker": contender.broker,
            "advice": contender.advice,
            "commands": own[0].commands,
            "per_second": median(speeds),
            "per_second_least": min(speeds),
            "per_second_most": max(speeds),
            "calls": median([run.calls for run in own]),
            "cpu_s_per_10k": median([run.cpu_per_10k for run in own]),
            "broker_cpu_s_per_10k": median([run.broker_cpu_per_10k for run in own]),
            "peak_mb": median([run.peak_mb for run in own]),
            "runs": [asdict(run) for run in own],
        }
    for one in found.values():
        raw = found.get(RAW[one["broker"]])
        one["share_of_raw"] = one["per_second"] / raw["per_second"] if raw else None
    peers = [key for key in found if key not in OURS and key not in RAW.values()]
    return {"contenders": found, "peers": peers, "failed": dict(failed)}


def ratio(figures: Figures, ours: str, other: str) -> float | None:
    """How many times as fast as the other we are; None where either was not measured."""
    found = figures.get("contenders", {})
    if ours not in found or other not in found:
        return None
    answer: float = found[ours]["per_second"] / found[other]["per_second"]
    return answer


@dataclass(frozen=True)
class Target:
    """A figure to be reached. `at_most`: smaller is better."""

    name: str
    measured: float | None
    floor: float
    aim: float
    unit: str = ""
    at_most: bool = False

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        met = [self.measured <= it if self.at_most else self.measured >= it for it in (self.floor, self.aim)]
        return "aim met" if met[1] else "floor met" if met[0] else "NOT MET"


def targets(figures: Figures, added_ms: float | None, mb: float | None, calls: float | None) -> list[Target]:
    """What this worker is to reach. Beside the figures of `compared`: what it adds to a lone command's
    latency (p99), its peak memory with 10⁶ commands waiting, API calls as a multiple of the lower bound."""
    found, peers = figures.get("contenders", {}), figures.get("peers", [])
    on_redis = [ratio(figures, "redis-streams", key) for key in peers if found[key]["broker"] == "redis"]
    slow = [key for key in peers if key in _SLOW_PEERS]
    alone = [ratio(figures, _ONE_BY_ONE[found[key]["broker"]], key) for key in slow]
    in_arrays = [ratio(figures, _IN_ARRAYS[found[key]["broker"]], key) for key in slow]
    one, arrays = (ratio(figures, key, "raw-redis") for key in ("redis-streams", "redis-arrays"))
    rabbitmq = ratio(figures, "rabbitmq", "raw-rabbitmq")
    return [
        Target("Redis, one event per entry: share of raw", one, 0.25, 0.45),
        Target("Redis, arrays of 100: share of the same", arrays, 0.40, 0.70),
        Target("RabbitMQ, one event per message: share of raw", rabbitmq, 0.60, 0.80),
        Target("against the fastest peer measured on Redis, one event", _least(on_redis), 2, 4, " ×"),
        Target("against Celery and Dramatiq on the same broker, one event", _least(alone), 20, 100, " ×"),
        Target("against the same, arrays of 100", _least(in_arrays), 20, 100, " ×"),
        Target("API calls, everything waiting: times the lower bound", calls, 1, 1, " ×", at_most=True),
        Target("a lone command: added to the vendor's latency, p99", added_ms, 10, 3, " ms", at_most=True),
        Target("peak memory with 10⁶ commands waiting", mb, 200, 100, " MB", at_most=True),
    ]


def _least(values: Sequence[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
