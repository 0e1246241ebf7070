"""What batches observe while it is found out which message or command crashes workers."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice


@dataclass(slots=True, frozen=True)
class Precautions:
    """What batches must observe: `batch_limit` commands at most, and `suspects` alone. `condemned`: how many
    workers died of each."""

    batch_limit: int
    suspects: Collection[str]
    condemned: Mapping[str, int]

    def deaths_of(self, digest: str) -> int:
        """How many workers died of it, if it is condemned."""
        return self.condemned.get(digest, 0)

    def batch_length(self, digests: Iterable[str], most: int) -> int:
        """How many of the next `most` commands may be in one batch; one at least."""
        most = min(most, self.batch_limit)
        for place, digest in enumerate(islice(digests, most)):
            if digest in self.suspects:
                return max(1, place)
        return most
