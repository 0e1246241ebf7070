"""The real workers in a simulated world that fails in every way: at the end all promises are kept."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from simulation.random_plans import make_plan
from simulation.running import run, simulating
from simulation.sweeping import EXPECTED, Sweep, replay, story, sweep

TESTS = Path(__file__).parents[1]
FEW = range(100)
FIXED = (*range(1_200), 1_795, 1_911, 4_396, 921_374)
"""Those with a number of their own have found: 1,795 a list that shrank between two pages; 1,911 a retry in
an account's pause; 4,396 a second group, because a rename had taken the first one's marker away; 921,374 a
settlement that was given up, and came after the next one. Fresh seeds decide nothing here: `make simulate`
runs them, and a seed that fails there is added."""


@pytest.fixture(scope="module")
def fixed() -> Sweep:
    return sweep(FIXED)


def _explain(found: Sweep) -> str:
    seed = min(found.failures)
    failed = [f"{broken}\n  {replay(one)}" for one, broken in sorted(found.failures.items())]
    return "\n".join([*failed, "", f"Seed {seed} made smaller:", "", *story(seed, smaller=True)])


def test_all_promises_are_kept_in_a_few_worlds() -> None:
    """As below, in a few seconds."""
    found = sweep(FEW)
    assert not found.failures, _explain(found)


@pytest.mark.slow
def test_all_promises_are_kept(fixed: Sweep) -> None:
    """Same final groups as one by one; one answer, and one letter, each; settled in order within a group; no
    two calls of a group at once, and none without the lease; the limit in every sliding second; never two
    groups for one create; nothing left waiting: whatever dies, is frozen, is lost or comes late."""
    assert not fixed.failures, _explain(fixed)


@pytest.mark.slow
def test_the_faults_happened(fixed: Sweep) -> None:
    """What never fired was never survived."""
    assert fixed.fired.keys() >= EXPECTED


def _trace(seed: int, hash_seed: int) -> str:
    command = [sys.executable, "-m", "simulation", "--seed", str(seed)]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.slow
def test_a_seed_replays_exactly() -> None:
    """Two processes that hash strings differently tell the same story, to the last step."""
    seed = _eventful()
    first, second = (_trace(seed, hash_seed) for hash_seed in (1, 2))
    assert len(first.splitlines()) > 100
    assert first == second


def _eventful() -> int:
    """A seed in which much happens."""
    with simulating():
        reports = [run(make_plan(seed)) for seed in range(60)]
    return max(reports, key=lambda report: len(report.fired) * report.steps).plan.seed


@pytest.mark.slow
def test_runs_in_one_process_leave_nothing_behind() -> None:
    """A run is the same whatever ran before it, and ends without noise."""
    with simulating():
        first = [run(make_plan(seed)) for seed in range(30)]
        again = [run(make_plan(seed)) for seed in reversed(range(30))]
    assert [one.outcome for one in first] == [one.outcome for one in reversed(again)]
    assert Counter(one.broken for one in first) == {None: 30}
