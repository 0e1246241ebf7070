"""Contenders side by side."""

from dataclasses import dataclass
from typing import Literal

import pytest
from bench.comparison import Target, compared, ratio, targets
from bench.contenders import Numbergroup, Raw
from bench.throughput import Run


@dataclass(frozen=True)
class Peer(Raw):
    """Any other program."""


def run(key: str, per_second: float) -> Run:
    return Run(key, 1_000, 1_000 / per_second, calls=40, cpu_s=0.5, peak_mb=50.0, broker_cpu_s=0.1)


def contender(key: str, broker: Literal["redis", "rabbitmq"] = "redis") -> Raw:
    return Peer(key, key, broker, 1_000)


CONTENDERS = [
    Raw("raw-redis", "raw", "redis", 1_000),
    Numbergroup("redis-streams", "ours", "redis", 1_000),
    contender("arq"),
    contender("celery-redis"),
    contender("celery-rabbitmq", "rabbitmq"),
]
RUNS = [
    *(run("raw-redis", speed) for speed in (90_000, 100_000, 400_000)),
    *(run("redis-streams", speed) for speed in (30_000, 20_000, 31_000)),
    run("arq", 600),
    run("celery-redis", 400),
]


def test_medians_and_shares() -> None:
    """One run that was disturbed changes no figure but the range."""
    figures = compared(CONTENDERS, RUNS, {"celery-rabbitmq": "not here"})
    ours = figures["contenders"]["redis-streams"]
    assert ours["per_second"] == pytest.approx(30_000)
    assert (ours["per_second_least"], ours["per_second_most"]) == pytest.approx((20_000, 31_000))
    assert ours["share_of_raw"] == pytest.approx(0.3)
    assert ours["cpu_s_per_10k"] == pytest.approx(5.0)
    assert figures["peers"] == ["arq", "celery-redis"]
    assert figures["failed"] == {"celery-rabbitmq": "not here"}
    assert ratio(figures, "redis-streams", "arq") == pytest.approx(50)
    assert ratio(figures, "redis-streams", "celery-rabbitmq") is None


def test_what_is_reached() -> None:
    """The least ratio counts; what was not measured is said to be so."""
    found = targets(compared(CONTENDERS, RUNS, {}), added_ms=3.5, mb=201.0, calls=1.0)
    assert [(one.measured and round(one.measured, 3), one.verdict) for one in found] == [
        (0.3, "floor met"),
        (None, "not measured"),
        (None, "not measured"),
        (50.0, "aim met"),
        (75.0, "floor met"),
        (None, "not measured"),
        (1.0, "aim met"),
        (3.5, "floor met"),
        (201.0, "NOT MET"),
    ]


def test_limits_are_inclusive() -> None:
    """At least, and at most."""
    assert Target("", 0.25, 0.25, 0.45).verdict == "floor met"
    assert Target("", 10.0, 10, 3, at_most=True).verdict == "floor met"
    assert Target("", 0.2499, 0.25, 0.45).verdict == "NOT MET"
