"""Who is due how many partitions: pure arithmetic.

Workers are ranked by seniority, and the first of them have one more where it does not come out even. So a
newcomer takes its own share from the others and moves nothing else, and so does a share that is left.
"""


def fair_share(rank: int, workers: int, partitions: int) -> int:
    """The share of the worker of that rank, counted from 0."""
    return partitions // workers + (1 if rank < partitions % workers else 0)
