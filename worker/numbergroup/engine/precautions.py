"""Limits for batches while the worker searches for the message or command that crashes workers."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice


@dataclass(slots=True, frozen=True)
class Precautions:
    """Limits for the batches of a partition. Commands are identified by their digests.

    - `batch_limit`: the most commands in a batch.
    - `suspects`: each of these is in a batch of its own.
    - `condemned`: how many workers each of these crashed. They are refused.
    """

    batch_limit: int
    suspects: Collection[str]
    condemned: Mapping[str, int]

    def crash_count(self, digest: str) -> int:
        """Return how many workers this command crashed, if it is condemned; else 0."""
        return self.condemned.get(digest, 0)

    def batch_length(self, digests: Iterable[str], most: int) -> int:
        """Return how many of the next `most` commands one batch may have: at least one."""
        most = min(most, self.batch_limit)
        for index, digest in enumerate(islice(digests, most)):
            if digest in self.suspects:
                return max(1, index)
        return most
