"""How long a group waits after a failure."""

from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.policy import RetryPolicy

policies = st.builds(RetryPolicy, st.floats(0.01, 10.0), st.floats(10.0, 600.0))


@given(policies, st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_delays_are_within_their_bounds(policy: RetryPolicy, failures: int, jitter: float) -> None:
    """Full jitter: anything from nothing to the ceiling, and the ceiling is never above the cap."""
    assert 0.0 <= policy.delay_s(failures, jitter) <= policy.cap_s


@given(policies, st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_delays_grow_with_failures(policy: RetryPolicy, failures: int, jitter: float) -> None:
    """For the same jitter, a later failure never waits less than an earlier one."""
    assert policy.delay_s(failures, jitter) <= policy.delay_s(failures + 1, jitter)


def test_the_ceiling_doubles_until_the_cap() -> None:
    """1 s, 2 s, 4 s, … up to the cap."""
    policy = RetryPolicy(base_s=1.0, cap_s=10.0)
    assert [policy.delay_s(n, 0.5) for n in (1, 2, 3, 4, 5, 6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_retries_end_when_their_time_is_over() -> None:
    """Retries go on for exactly as long as the policy says, counted from the first failure."""
    policy = RetryPolicy(give_up_after_s=60.0)
    assert not policy.is_exhausted(100.0, 159.9)
    assert policy.is_exhausted(100.0, 160.0)
