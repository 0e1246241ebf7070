"""For each mutant a seed whose world catches it: the test looks there first.

Only to save time: where the worlds have changed since, the test searches, and `make simulate-mutants` prints
the seeds for this table.
"""

CAUGHT_BY: dict[str, int] = {}
