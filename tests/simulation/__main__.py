"""Run the simulation: `python -m simulation --seeds 1000`, `--seeds 100..199`, `--seed 17`, `--mutants`."""

import argparse
import random
import sys
from collections.abc import Sequence

from simulation.mutants import MUTANTS, seeds_needed
from simulation.sweeping import replay, story, sweep

_LARGEST = 10**9
_STARTS = 3


def chosen(text: str) -> Sequence[int]:
    """`1000`: so many from a fresh start; `100..199`: these."""
    first, dots, last = text.partition("..")
    start = int(first) if dots else random.SystemRandom().randrange(_LARGEST)
    seeds = range(start, int(last) + 1 if dots else start + int(first))
    if not seeds:
        raise ValueError
    return seeds


def simulate(seeds: Sequence[int], processes: int) -> int:
    """Print what came of these seeds; the number of those that failed."""
    print(f"seeds {seeds[0]}..{seeds[-1]}, {processes} processes", flush=True)
    found = sweep(seeds, processes)
    for kind, count in sorted(found.fired.items()):
        print(f"  {kind:<24}{count:>8,}")
    virtual_h = found.virtual_s / 3600
    rate = found.runs / found.seconds
    print(f"{found.runs:,} runs in {found.seconds:.1f} s, {rate:.0f} a second; {virtual_h:.1f} virtual hours")
    for seed, broken in sorted(found.failures.items()):
        print(f"FAILED {broken}\n  {replay(seed)}")
    if found.failures:
        seed = min(found.failures)
        print(f"\nSeed {seed} made smaller:\n")
        print("\n".join(story(seed, smaller=True)))
    return len(found.failures)


def mutants() -> int:
    """Print how many seeds it took to catch each mutant, and one that did; return how many survived."""
    survived = 0
    for mutant in MUTANTS:
        starts = [random.SystemRandom().randrange(_LARGEST) for _ in range(_STARTS)]
        counts = [seeds_needed(mutant, start) or _LARGEST for start in starts]
        median = sorted(counts)[_STARTS // 2]
        survived += median > mutant.within
        fewest = min(counts)
        seed = starts[counts.index(fewest)] + fewest - 1
        said = "SURVIVED" if median == _LARGEST else f"{median:,} seeds, such as {seed}"
        print(f"  {mutant.name:<64}{said:>36}  (allowed: {mutant.within:,})", flush=True)
    return survived


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--seeds", type=chosen, default="1000", metavar="1000|100..199")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--mutants", action="store_true")
    options = parser.parse_args()
    if options.mutants:
        return min(1, mutants())
    if options.seed is not None:
        lines = story(options.seed, smaller=False)
        print("\n".join(lines))
        return int("was kept" not in lines[-1])
    return min(1, simulate(options.seeds, options.processes))


if __name__ == "__main__":
    sys.exit(main())
