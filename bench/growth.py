"""How speed and memory grow with the backlog, the groups, and the numbers of a command.

    python -m bench.growth [--quick]

Each point is a run as `bench.throughput` has them: a worker with stock settings, on redis-server, and all
of it waits. The vendor answers within 1 ms, so that it is the worker's own time that is seen. Wall time tells
the commands per second, and processor time how cost grows, for that hardly depends on what else the machine
does. Groups are given 20,000 commands, as many as the worker takes into memory: of 100,000 groups some 18,000
have one then.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from bench.bulk import fill
from bench.contender import Place
from bench.contenders import Numbergroup
from bench.processes import end_well
from bench.throughput import run
from bench.workload import Workload

Axis = Literal["backlog", "groups", "numbers"]
AXES: dict[Axis, str] = {
    "backlog": "commands waiting",
    "groups": "groups",
    "numbers": "numbers a command",
}
VENDOR_MS = 1.0
_MOST_S = 400.0
_WORKS: dict[Axis, Sequence[Workload]] = {
    "backlog": [Workload(size, 100) for size in (1_000, 10_000, 100_000, 1_000_000)],
    "groups": [Workload(20_000, size) for size in (1, 10, 100, 1_000, 10_000, 100_000)],
    "numbers": [Workload(10_000, 100, numbers=size) for size in (1, 10, 100, 1_000)],
}


@dataclass(frozen=True)
class Point:
    """One run. `size` is the place on its axis."""

    axis: Axis
    size: int
    commands: int
    calls: int
    seconds: float
    cpu_s: float
    peak_mb: float

    @property
    def per_second(self) -> float:
        """Commands per second."""
        return self.commands / self.seconds


@dataclass(frozen=True)
class Growth:
    points: Sequence[Point]

    def along(self, axis: Axis) -> list[Point]:
        return sorted((one for one in self.points if one.axis == axis), key=lambda one: one.size)

    def steepest(self, axis: Axis) -> float:
        """The power with which processor time grows with the size, between the two neighbouring points where
        that is largest: 1 is linear. Growth to less than a second of it says too little; nan, if there is no
        other."""
        telling = [(a, b) for a, b in pairwise(self.along(axis)) if b.cpu_s >= 1]
        slopes = [math.log(b.cpu_s / a.cpu_s) / math.log(b.size / a.size) for a, b in telling]
        return max(slopes, default=math.nan)


@dataclass(frozen=True)
class _Filled(Numbergroup):
    """The worker, with a backlog that is there soon."""

    def enqueue(self, work: Workload, place: Place) -> None:
        fill(place.redis_url, work.events())


def measure(say: Callable[[str], None], *, quick: bool = False) -> Growth:
    """About four minutes; `quick` leaves the largest sizes out, and nine commands of ten."""
    contender = _Filled("growth", "numbergroup, Redis streams", "redis", 0)
    points: dict[Workload, Point] = {}
    found = []
    for axis, works in _WORKS.items():
        for work in works[:-1] if quick else works:
            if quick and axis != "backlog":
                work = replace(work, commands=work.commands // 10)
            size = {"backlog": work.commands, "groups": work.groups, "numbers": work.numbers}[axis]
            if work not in points:
                one = run(contender, work, None, VENDOR_MS, most_s=_MOST_S)
                figures = (one.commands, one.calls, one.seconds, one.cpu_s, one.peak_mb)
                points[work] = Point(axis, size, *figures)
                say(f"{work.name}: {one.per_second:,.0f} commands/s, {one.peak_mb:,.0f} MB")
            found.append(replace(points[work], axis=axis, size=size))
    return Growth(found)


def lines(growth: Growth) -> list[str]:
    """A table, as text."""
    heads = ("commands", "API calls", "commands/s", "CPU s", "peak MB")
    told = []
    for axis, title in AXES.items():
        told += ["", f"{title:<20}" + "".join(f"{head:>13}" for head in heads)]
        for one in growth.along(axis):
            cells = (
                f"{one.commands:,}",
                f"{one.calls:,}",
                f"{one.per_second:,.0f}",
                f"{one.cpu_s:.1f}",
                f"{one.peak_mb:,.0f}",
            )
            told.append(f"{one.size:<20,}" + "".join(f"{cell:>13}" for cell in cells))
        told.append(f"processor time grows with the power {growth.steepest(axis):.2f} of the size, at most")
    return told


def draw(growth: Growth, figure: Any) -> None:
    """On a matplotlib figure: above commands per second, below peak memory, side by side what grows."""
    panels = figure.subplots(2, len(AXES), sharex="col", sharey="row", squeeze=False)
    for column, (axis, title) in enumerate(AXES.items()):
        points = growth.along(axis)
        sizes = [one.size for one in points]
        for row, values in enumerate(([p.per_second for p in points], [p.peak_mb for p in points])):
            panel = panels[row][column]
            panel.plot(sizes, values, marker="o")
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.grid(visible=True, which="major", alpha=0.3)
        panels[1][column].set_xlabel(title)
    panels[0][0].set_ylabel("commands/s")
    panels[1][0].set_ylabel("peak memory, MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    end_well()
    growth = measure(print, quick=parser.parse_args().quick)
    print("\n".join(lines(growth)))


if __name__ == "__main__":
    main()
