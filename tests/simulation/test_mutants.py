"""The simulation notices when one of our rules is switched off."""

import multiprocessing

import pytest

from simulation.mutants import MUTANTS, Mutant, is_caught, seeds_needed


def _is_caught(place: int) -> bool:
    return is_caught(MUTANTS[place])


@pytest.mark.slow
def test_every_mutant_is_caught() -> None:
    """Within the seeds that each may live."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        caught = pool.map(_is_caught, range(len(MUTANTS)), chunksize=1)
    survived = [mutant.name for mutant, noticed in zip(MUTANTS, caught, strict=True) if not noticed]
    assert survived == []


def test_a_harmless_mutant_survives() -> None:
    """What is caught is caught for its rule, and not because something was patched."""
    assert seeds_needed(Mutant("nothing is switched off", list), 0, 20) is None
