"""A budget of calls."""

from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.account.budget import Budget


@given(
    st.floats(0.1, 100),
    st.integers(1, 20),
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_more_than_the_budget_is_spent(per_second: float, burst: int, pauses: list[float]) -> None:
    """Over any time from the first call on: the burst, and what has come in since."""
    budget, now = Budget(per_second, burst), 1_000.0
    made: list[float] = []
    for pause in pauses:
        now += pause
        made.append(budget.reserve(now))
    for first in range(len(made)):
        for last in range(first, len(made)):
            seconds = made[last] - made[first]
            assert last - first + 1 <= burst + seconds * per_second + 1e-6


@given(st.lists(st.floats(0, 5), min_size=1, max_size=40))
def test_who_asks_first_goes_first(pauses: list[float]) -> None:
    """Reservations are due in the order of asking, and never in the past."""
    budget, now, last = Budget(1.0, 3), 0.0, 0.0
    for pause in pauses:
        now += pause
        due = budget.reserve(now)
        assert due >= now
        assert due >= last
        last = due


def test_without_a_limit_nobody_waits() -> None:
    """An account without a budget for it spends what it likes, and it is counted."""
    budget = Budget()
    assert [budget.reserve(7.0) for _ in range(1_000)] == [7.0] * 1_000
    assert budget.spent == 1_000
