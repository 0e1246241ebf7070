"""Many runs, over several processes: what was broken, and which faults fired."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simulation.plans import ASK_FAULTS, CALL_FAULTS, PROCESS_FAULTS, WORLD_FAULTS, described
from simulation.random_plans import make_plan
from simulation.running import run, simulating
from simulation.shrinking import shrunk

EXPECTED = frozenset(
    {
        *(*PROCESS_FAULTS, *WORLD_FAULTS, *ASK_FAULTS, *CALL_FAULTS),
        *(
            "arrived late",
            "redelivered",
            "answered already",
            "stale epoch",
            "killed by a message",
            "numbers not taken",
            "renamed",
        ),
    }
)
"""What must have happened in a sweep of some thousand runs, else it was none."""

_CHUNK = 25
_LAST_OF_TRACE = 400


@dataclass(slots=True)
class Sweep:
    """What came of some seeds; `failures` has what was broken, by seed."""

    runs: int = 0
    seconds: float = 0.0
    virtual_s: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Sweep") -> None:
        self.runs += other.runs
        self.virtual_s += other.virtual_s
        self.fired += other.fired
        self.failures |= other.failures


def sweep_here(seeds: Iterable[int]) -> Sweep:
    """Run these seeds in this process."""
    found = Sweep()
    with simulating():
        for seed in seeds:
            report = run(make_plan(seed))
            found.runs += 1
            found.virtual_s += report.virtual_s
            found.fired += report.fired
            if report.broken is not None:
                found.failures[seed] = str(report.broken)
    return found


def sweep(seeds: Sequence[int], processes: int = 2) -> Sweep:
    """Run these seeds in several processes."""
    began = time.monotonic()
    whole = Sweep()
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for part in pool.imap_unordered(sweep_here, chunks):
            whole.add(part)
    whole.seconds = time.monotonic() - began
    return whole


def story(seed: int, *, smaller: bool) -> list[str]:
    """The plan and the trace of a seed, or of the smallest plan that breaks the same promise."""
    with simulating():
        plan = make_plan(seed)
        report = run(plan, traced=True)
        if smaller and report.broken is not None:
            plan = shrunk(plan, report.broken.kind)
            report = run(plan, traced=True)
    lines = [*described(plan), "", *report.trace[-_LAST_OF_TRACE:], ""]
    fired = ", ".join(f"{kind} {count}" for kind, count in sorted(report.fired.items()))
    return [*lines, f"fired: {fired or 'nothing'}", str(report.broken or "every promise was kept")]


def replay(seed: int) -> str:
    """How to see a seed again."""
    return f"make simulate SEED={seed}"
