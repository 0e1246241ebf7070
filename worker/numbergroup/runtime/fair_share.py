"""Computes how many partitions each worker should own.

Workers are ranked by seniority. When the partitions do not divide evenly, the most senior workers own one
more each. So a worker that joins or leaves moves only the partitions of its own share.
"""


def fair_share(rank: int, workers: int, partitions: int) -> int:
    """Return how many partitions the worker of this `rank` (0 is the most senior) should own."""
    return partitions // workers + (1 if rank < partitions % workers else 0)
