"""The simulation notices when one of our rules is switched off."""

import multiprocessing

import pytest

from simulation.mutants import MUTANTS, Mutant, seeds_needed


def _needed(place: int) -> int | None:
    return seeds_needed(MUTANTS[place], 0)


@pytest.mark.slow
def test_every_mutant_is_caught() -> None:
    """Within the seeds that each may live."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        needed = pool.map(_needed, range(len(MUTANTS)), chunksize=1)
    survived = [mutant.name for mutant, count in zip(MUTANTS, needed, strict=True) if count is None]
    assert survived == []


def test_a_harmless_mutant_survives() -> None:
    """What is caught is caught for its rule, and not because something was patched."""
    assert seeds_needed(Mutant("nothing is switched off", list), 0, 60) is None
