"""What is published in a measurement: made from a seed, so that every contender gets the same."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Literal

import orjson

Skew = Literal["uniform", "zipf"]

_OPERATIONS = ("add", "delete", "replace")
_OPERATION_SHARES = (0.50, 0.48, 0.02)
_NUMBERS_OF_A_GROUP = 200


@dataclass(frozen=True)
class Workload:
    """So many update commands over so many groups, `numbers` phone numbers in each.

    Half of them add, 48 % delete, 2 % replace; a group's numbers come from 200 of its own (four times
    `numbers`, where that is more). `zipf`: the group of rank r has 1/r of what the first one has.
    Workloads of different seeds have no command's id in common, but the same groups.
    """

    commands: int
    groups: int
    numbers: int = 2
    skew: Skew = "uniform"
    seed: int = 1

    def events(self) -> list[bytes]:
        """One CloudEvent each, as JSON, in order. Made once and kept: not to be changed."""
        return _events(self)

    def arrays(self, size: int) -> list[bytes]:
        """The same events, so many in an array."""
        events = self.events()
        return [b"[" + b",".join(events[at : at + size]) + b"]" for at in range(0, len(events), size)]

    def warm_up(self, commands: int = 50) -> "Workload":
        """Another small one of its kind."""
        return replace(self, commands=commands, seed=-self.seed)

    @property
    def name(self) -> str:
        """For a table."""
        numbers = f"{self.numbers} number{'' if self.numbers == 1 else 's'} each"
        return f"{self.commands:,} commands over {self.groups:,} groups ({self.skew}), {numbers}"


@lru_cache(maxsize=4)
def _events(work: Workload) -> list[bytes]:
    return [orjson.dumps(event) for event in _made(work)]


def _made(work: Workload) -> Iterator[dict[str, object]]:
    random = Random(work.seed)
    weights = [1.0 if work.skew == "uniform" else 1 / rank for rank in range(1, work.groups + 1)]
    groups = random.choices(range(work.groups), cum_weights=list(accumulate(weights)), k=work.commands)
    operations = random.choices(_OPERATIONS, _OPERATION_SHARES, k=work.commands)
    pool = max(_NUMBERS_OF_A_GROUP, 4 * work.numbers)
    for index, (group, operation) in enumerate(zip(groups, operations, strict=True)):
        phones = random.sample(range(group * pool, (group + 1) * pool), work.numbers)
        yield {
            "specversion": "1.0",
            "id": f"{work.seed}-{index:07}",
            "source": "bench",
            "type": "numbergroup.update.v1",
            "data": {
                "groupId": f"group-{group:06}",
                "operateType": operation,
                "phones": [f"852{number:010}" for number in phones],
            },
        }
