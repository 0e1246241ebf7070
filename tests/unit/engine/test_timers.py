"""Timers: nobody is woken late or twice, and what is of no use any more takes no memory for long."""

from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.commands import GroupRef, HandleKind
from numbergroup.engine.group.state import GroupState
from numbergroup.engine.timers import Timers

TIMES = st.integers(0, 50).map(float)
ACTIONS = st.lists(
    st.tuples(st.just("set"), st.integers(0, 4), TIMES)
    | st.tuples(st.just("drop"), st.integers(0, 4), st.just(0.0))
    | st.tuples(st.just("wait"), st.just(0), TIMES)
)


def group(number: int) -> GroupState:
    return GroupState(GroupRef("default", HandleKind.ID, f"g-{number}"), 0)


@given(ACTIONS)
def test_each_is_woken_at_the_earliest_time_that_was_asked_for(actions: list[tuple[str, int, float]]) -> None:
    """Once, in the order of the times, unless it has gone."""
    timers, boxes, now = Timers(), [group(number) for number in range(5)], 0.0
    wanted: dict[GroupState, float] = {}
    for action, number, time in actions:
        one = boxes[number]
        if action == "set":
            timers.schedule(now + time, one)
            wanted[one] = min(now + time, wanted.get(one, now + time))
        elif action == "drop":
            timers.cancel(one)
            wanted.pop(one, None)
        else:
            now += time
            woken = [*timers.pop_due(now)]
            assert {*woken} == {one for one, when in wanted.items() if when <= now}
            assert (times := [wanted.pop(one) for one in woken]) == sorted(times)
        assert not wanted or (timers.next_due is not None and timers.next_due <= min(wanted.values()))


def test_memory_follows_the_mailboxes_that_there_are() -> None:
    """A day of commands that expire tomorrow: each was answered, and its mailbox is gone."""
    timers = Timers()
    stays = group(0)
    for number in range(10_000):
        passing = group(number)
        timers.schedule(86_400.0 + number, passing)
        timers.cancel(passing)
        timers.schedule(86_400.0 - number, stays)
    assert len(timers) < 100
    assert [*timers.pop_due(90_000.0)] == [stays]
