"""Any commands of one group, for properties."""

from engine_commands import BY_KEY, add, create, delete, delete_group, replace
from hypothesis import strategies as st

from worker.engine.model import Command

NUMBERS = "abcdef"

memberships = st.sets(st.sampled_from(NUMBERS))


@st.composite
def keyed_commands(draw: st.DrawFn) -> list[Command]:
    """Commands of one group that is known by its key, sensible or not."""
    commands = []
    for place in range(draw(st.integers(1, 10))):
        make = draw(st.sampled_from([add, delete, replace, create, delete_group]))
        numbers = draw(st.sets(st.sampled_from(NUMBERS), min_size=make is not replace, max_size=4))
        more = () if make is delete_group else (sorted(numbers),)
        commands.append(make(f"c{place}", *more, group=BY_KEY))
    return commands


@st.composite
def updates(draw: st.DrawFn) -> list[Command]:
    """Updates of one group that is known by its id, an empty replace now and then."""
    commands = []
    for place in range(draw(st.integers(1, 10))):
        make = draw(st.sampled_from([add, add, delete, delete, replace]))
        numbers = draw(st.sets(st.sampled_from(NUMBERS), min_size=make is not replace, max_size=5))
        commands.append(make(f"c{place}", sorted(numbers)))
    return commands
