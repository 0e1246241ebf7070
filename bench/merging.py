"""How many API calls the worker makes, against the fewest that would do, and one for every command.

    python -m bench.merging [--quick]

A whole worker on redis-server, with everything waiting when it starts, and no more than it takes into memory
(`MAX_PENDING`). The bound is computed from the published bytes by arithmetic of its own, which a test holds
to trying all calls there are: nothing of the worker is in it.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from bench.bulk import fill
from bench.contender import Place
from bench.contenders import Numbergroup
from bench.processes import end_well, redis_program, running, stub
from bench.workload import Skew, Workload

NUMBERS_PER_CALL = 1_000
"""The default of `NUMBERS_PER_CALL`."""
_COMMANDS = 20_000
"""The default of `MAX_PENDING`."""
_GROUPS = (10, 100, 1_000)
_SKEWS: tuple[Skew, ...] = ("uniform", "zipf")
_MOST_S = 120.0
_POLL_S = 0.02


@dataclass(slots=True)
class Wish:
    """What a group's commands come to: `present` is the last word on every number; `alone`: nobody else is
    to be in the group, for it was replaced."""

    present: dict[str, bool] = field(default_factory=dict)
    alone: bool = False

    def take(self, operation: str, numbers: Iterable[str]) -> None:
        if operation == "replace":
            self.present.clear()
            self.alone = True
        self.present.update(dict.fromkeys(numbers, operation != "delete"))

    def fewest(self, numbers_per_call: int) -> int:
        """Calls that bring it about whoever is in the group before.

        An add, a delete and a replace each name 1 to `numbers_per_call` numbers. Where the others stay, adds
        and deletes cannot share a call. Where nobody else is to be there, the first call replaces and the
        rest add; a group that ends empty is replaced by a number which is then deleted.
        """
        wanted = sum(self.present.values())
        adds = -(-wanted // numbers_per_call)
        if self.alone:
            return adds or 2
        return adds + -(-(len(self.present) - wanted) // numbers_per_call)


def fewest_calls(events: Iterable[bytes], numbers_per_call: int) -> int:
    """The lower bound for all groups together, when all of the events (updates, as JSON) wait."""
    groups: dict[str, Wish] = {}
    for event in events:
        data = orjson.loads(event)["data"]
        groups.setdefault(data["groupId"], Wish()).take(data["operateType"], data["phones"])
    return sum(wish.fewest(numbers_per_call) for wish in groups.values())


@dataclass(frozen=True)
class Merged:
    """One run: what was published, how many calls the worker made, and how few would have done."""

    skew: str
    groups: int
    commands: int
    calls: int
    fewest: int

    @property
    def ratio(self) -> float:
        """To the lower bound: 1 is perfect."""
        return self.calls / self.fewest


@dataclass(frozen=True)
class Merging:
    runs: Sequence[Merged]
    worst_ratio: float


def measure(say: Callable[[str], None], *, quick: bool = False) -> Merging:
    """Some 30 s; `quick`: a tenth of the commands. Raises `TimeoutError` when not all are answered."""
    runs = []
    for skew in _SKEWS:
        for groups in _GROUPS:
            work = Workload(_COMMANDS // 10 if quick else _COMMANDS, groups, skew=skew)
            one = Merged(
                skew, groups, work.commands, _calls(work), fewest_calls(work.events(), NUMBERS_PER_CALL)
            )
            say(f"{work.name}: {one.calls:,} API calls, {one.fewest:,} would do")
            runs.append(one)
    return Merging(runs, max(one.ratio for one in runs))


def _calls(work: Workload) -> int:
    """How many the worker makes for it."""
    contender = Numbergroup("merging", "numbergroup, Redis streams", "redis", work.commands)
    with redis_program() as (port, _), stub(latency_ms=1) as vendor:
        place = Place(f"redis://127.0.0.1:{port}/0", "", vendor.url)
        fill(place.redis_url, work.events())
        with running(*contender.command(place), environment=contender.environment(place)) as worker:
            deadline = time.monotonic() + _MOST_S
            while contender.answered(place) < work.commands:
                worker.check()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not answered in {_MOST_S:g} s: {work.name}")
                time.sleep(_POLL_S)
            return vendor.calls()


def lines(merging: Merging) -> list[str]:
    """A table, as text."""
    heads = ("commands", "API calls", "lower bound", "ratio", "share of one each")
    told = [f"{'groups':<20}" + "".join(f"{head:>19}" for head in heads)]
    for one in merging.runs:
        cells = (
            f"{one.commands:,}",
            f"{one.calls:,}",
            f"{one.fewest:,}",
            f"{one.ratio:.3f}",
            f"{one.calls / one.commands:.2%}",
        )
        told.append(f"{one.groups:>6,} {one.skew:<13}" + "".join(f"{cell:>19}" for cell in cells))
    return told


def draw(merging: Merging, axes: Any) -> None:
    """On matplotlib axes: calls of one each, of the worker, and the bound, as bars on a logarithmic scale."""
    runs, width = merging.runs, 0.27
    bars = {
        "one call a command": [one.commands for one in runs],
        "numbergroup": [one.calls for one in runs],
        "lower bound": [one.fewest for one in runs],
    }
    for place, (label, values) in enumerate(bars.items()):
        axes.bar([at + (place - 1) * width for at in range(len(runs))], values, width, label=label)
    axes.set_xticks(range(len(runs)), [f"{one.groups:,} groups\n{one.skew}" for one in runs])
    axes.set_yscale("log")
    axes.set_ylabel("API calls")
    axes.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    end_well()
    merging = measure(print, quick=parser.parse_args().quick)
    print("", *lines(merging), sep="\n")


if __name__ == "__main__":
    main()
