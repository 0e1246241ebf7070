"""Any commands of one group, for properties. Sets are drawn as bits of a number, which is fast."""

from collections.abc import Callable, Sequence

from engine_commands import BY_ID, BY_KEY, add, create, delete, delete_group, rename, replace
from hypothesis import strategies as st

from numbergroup.engine.commands import Command, GroupRef

NUMBERS = "abcdef"

EXPIRIES = (None, 5_000.0, 6_000.0)
"""When numbers leave the group by themselves: `None` for never."""

expiries = st.sampled_from(EXPIRIES)

TEXTS = [("one", None), ("two", None), (None, "first"), (None, "second"), ("one", "second"), ("two", "")]
"""Names and remarks that a rename may give."""

_ALL = 2 ** len(NUMBERS) - 1


def _set(bits: int) -> list[str]:
    return [number for place, number in enumerate(NUMBERS) if bits >> place & 1]


def _commands(
    makers: Sequence[Callable[..., Command]], group: GroupRef, expiring: bool
) -> st.SearchStrategy[list[Command]]:
    def made(drawn: list[tuple[int, int, int]]) -> list[Command]:
        commands = []
        for place, (which, bits, expiry) in enumerate(drawn):
            make = makers[which]
            if make is rename:
                texts = TEXTS[bits % len(TEXTS)]
                commands.append(make(f"c{place}", *texts, group=group))
                continue
            # Only a replace may be empty.
            numbers = _set(bits if make is replace else bits or 1)
            more = () if make is delete_group else (numbers,)
            until = EXPIRIES[expiry] if make in (add, replace, create) else None
            commands.append(make(f"c{place}", *more, group=group, number_expiry=until))
        return commands

    last = len(EXPIRIES) - 1 if expiring else 0
    one = st.tuples(st.integers(0, len(makers) - 1), st.integers(0, _ALL), st.integers(0, last))
    return st.lists(one, min_size=1, max_size=10).map(made)


memberships = st.integers(0, _ALL).map(_set).map(set)
"""Who is in the group before the first command."""


def keyed_commands(*, expiring: bool = False, renaming: bool = False) -> st.SearchStrategy[list[Command]]:
    """Commands of one group that is known by its key, sensible or not."""
    makers = [add, delete, replace, create, delete_group]
    return _commands([*makers, rename, rename] if renaming else makers, BY_KEY, expiring)


def updates(*, expiring: bool = False) -> st.SearchStrategy[list[Command]]:
    """Updates of one group that is known by its id, an empty replace now and then."""
    return _commands([add, add, delete, delete, replace], BY_ID, expiring)
