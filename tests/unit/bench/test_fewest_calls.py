"""The benchmark's lower bound on API calls."""

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import NamedTuple

import orjson
from bench.merging import Wish, fewest_calls
from hypothesis import given
from hypothesis import strategies as st

FEW = "abcd"


class Effect(NamedTuple):
    """What calls do to any group: to each of the few numbers, and to all `others` that it may have.
    True: it is in the group then, False: it is not, None: as before."""

    few: tuple[bool | None, ...]
    others: bool | None


NOTHING = Effect((None,) * len(FEW), None)


def after(effect: Effect, operation: str, numbers: tuple[str, ...]) -> Effect:
    if operation == "replace":
        effect = Effect((False,) * len(FEW), False)
    few = tuple(
        operation != "delete" if n in numbers else was for n, was in zip(FEW, effect.few, strict=True)
    )
    return Effect(few, effect.others)


def every_call(size: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    for operation in ("add", "delete", "replace"):
        for count in range(1, size + 1):
            for numbers in combinations(FEW, count):
                yield operation, numbers


@cache
def shortest(size: int) -> dict[Effect, int]:
    """For each effect, the fewest calls that have it, found by trying all of them."""
    found, border = {NOTHING: 0}, [NOTHING]
    while border:
        new = []
        for effect in border:
            for call in every_call(size):
                end = after(effect, *call)
                if end not in found:
                    found[end] = found[effect] + 1
                    new.append(end)
        border = new
    return found


commands = st.tuples(
    st.sampled_from(["add", "delete", "replace"]),
    st.sets(st.sampled_from(FEW), min_size=1).map(lambda some: tuple(sorted(some))),
)


@given(st.lists(commands, max_size=8), st.integers(1, 4))
def test_the_bound_is_what_trying_all_calls_finds(
    sequence: list[tuple[str, tuple[str, ...]]], size: int
) -> None:
    """No other calls of at most so many numbers do what the commands do, whoever is in the group before,
    in fewer; and so many are enough."""
    wish, effect = Wish(), NOTHING
    for command in sequence:
        wish.take(*command)
        effect = after(effect, *command)
    assert wish.fewest(size) == shortest(size)[effect]


def test_groups_are_counted_for_themselves() -> None:
    """The bound of several groups is the sum of theirs, read from the events as they are published."""
    said = [("g-1", "add", ["1", "2"]), ("g-2", "delete", ["1"]), ("g-1", "delete", ["2"])]
    events = [
        orjson.dumps({"data": {"groupId": group, "operateType": operation, "phones": phones}})
        for group, operation, phones in said
    ]
    assert fewest_calls(events, 1000) == 3
