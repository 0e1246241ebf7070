"""Making a failing plan smaller: what it can do without while the same check still fails."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from simulation.plans import Plan
from simulation.running import run

SECONDS = 20.0


def shrunk(plan: Plan, kind: str, seconds: float = SECONDS) -> Plan:
    """The smallest plan found within `seconds` that breaks the promise `kind`, too (ddmin)."""
    until = time.monotonic() + seconds

    def fails(smaller: Plan) -> bool:
        broken = run(smaller).broken
        return broken is not None and broken.kind == kind

    before = None
    while plan != before and time.monotonic() < until:
        before = plan
        plan = _fewer(plan, len(plan.faults), lambda one, some: one.without(faults=some), fails, until)
        plan = _fewer(plan, len(plan.messages), lambda one, some: one.without(messages=some), fails, until)
        for simpler in _simpler(plan):
            if simpler != plan and fails(simpler):
                plan = simpler
    return plan


def _fewer(
    plan: Plan,
    count: int,
    without: Callable[[Plan, Sequence[int]], Plan],
    fails: Callable[[Plan], bool],
    until: float,
) -> Plan:
    size = count
    while size >= 1 and time.monotonic() < until:
        start = 0
        while start < count and time.monotonic() < until:
            places = range(start, min(count, start + size))
            smaller = without(plan, places)
            if fails(smaller):
                plan, count = smaller, count - len(places)
            else:
                start += size
        size //= 2
    return plan


def _simpler(plan: Plan) -> list[Plan]:
    return [
        replace(plan, starts=plan.starts[:1]),
        replace(plan, linger_s=0.0),
        replace(plan, read_count=50),
        replace(plan, max_pending=200),
        replace(plan, poison=frozenset()),
        replace(plan, rejects=frozenset()),
    ]
