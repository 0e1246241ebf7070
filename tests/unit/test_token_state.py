"""What all workers know of an account's token: who may make the next one, and when."""

from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.ledger.token_state import LONGEST_CLAIM_S, Claim, SharedToken, TokenState

HOUR_S = 3600.0
NOW = 1_700_000_000.0
TOKEN = SharedToken("t-1", "ann", NOW)


def claim(name: str, now: float = NOW, lasts_s: float = 15.0) -> Claim:
    return Claim(name, now + lasts_s)


def made(state: TokenState, name: str, now: float) -> TokenState:
    """The state after a token was made in no time."""
    written = state.claimed(claim(name, now), now).written(name, SharedToken(name, "ann", now), now)
    assert written is not None
    return written


def test_nothing_is_known() -> None:
    """Whoever comes first may make one at once."""
    assert TokenState().busy_until(NOW) is None
    assert TokenState().next_at(NOW, 10) <= NOW


def test_a_claim_keeps_the_others_out_until_it_ends() -> None:
    """A dead worker's claim needs nobody who removes it."""
    state = TokenState().claimed(claim("a"), NOW)
    assert state.busy_until(NOW + 14.9) == NOW + 15
    assert state.busy_until(NOW + 15) is None


def test_what_is_written_ends_the_claim() -> None:
    state = TokenState().claimed(claim("a"), NOW).written("a", TOKEN, NOW + 1)
    assert state == TokenState(TOKEN, None, {"a": NOW + 1})


def test_whose_claim_is_over_writes_nothing() -> None:
    """Its token may be older than the one that was made since: then it is dead."""
    state = TokenState().claimed(claim("a"), NOW).claimed(claim("b", NOW + 15), NOW + 15)
    assert state.written("a", TOKEN, NOW + 16) is None
    assert state.given_up("a", NOW + 16, made=False) is None
    assert state.written("b", TOKEN, NOW + 16) is not None
    assert TokenState().written("a", TOKEN, NOW) is None


def test_whose_claim_ran_out_may_write_while_nobody_else_has_one() -> None:
    """Then the token is the newest there is."""
    assert TokenState().claimed(claim("a"), NOW).written("a", TOKEN, NOW + 99) is not None


def test_a_claim_that_is_given_up() -> None:
    """It frees the way; what came of it counts only if something may have."""
    state = made(TokenState(), "a", NOW).claimed(claim("b", NOW + 60), NOW + 60)
    nothing = state.given_up("b", NOW + 61, made=False)
    assert nothing is not None
    assert (nothing.token, nothing.claim) == (state.token, None)
    assert nothing.made_lately(NOW + 61) == 1
    something = state.given_up("b", NOW + 61, made=True)
    assert something is not None
    assert something.made_lately(NOW + 61) == 2


def test_what_became_of_a_request_is_unknown() -> None:
    """It counts until an hour after its token may have been made."""
    state = TokenState().claimed(claim("dead"), NOW)
    assert state.next_at(NOW + 15, 1) == NOW + 15 + HOUR_S


def test_the_last_of_the_hour_wait_for_each_other() -> None:
    """A fault that uses tokens up as fast as they come leaves some for later."""
    state, now, waits = TokenState(), NOW, []
    for n in range(10):
        waits.append(max(state.next_at(now, 10) - now, 0.0))
        now += waits[-1]
        state = made(state, f"c-{n}", now)
    assert waits[:2] == [0.0, 0.0], "one may die without a wait"
    assert waits[2] < 12
    assert waits[-1] == 24 * 60
    assert all(later == pytest.approx(2 * sooner) for sooner, later in pairwise(waits[2:]))
    assert state.next_at(now, 10) == pytest.approx(NOW + HOUR_S)


@given(
    st.lists(
        st.tuples(st.floats(0, 1200), st.floats(0, 20), st.sampled_from(["made", "lost", "not"])), max_size=80
    ),
    st.integers(1, 12),
)
def test_no_hour_ever_has_more_than_it_may(steps: list[tuple[float, float, str]], an_hour: int) -> None:
    """Whenever they are asked for, and whenever within the claim the vendor made them."""
    state, now, at_vendor = TokenState(), NOW, []
    for n, (pause_s, takes_s, end) in enumerate(steps):
        now += pause_s
        if state.busy_until(now) is not None or state.next_at(now, an_hour) > now:
            continue
        name = f"c-{n}"
        state = state.claimed(claim(name, now, 20), now)
        if end != "not":
            at_vendor.append(now + takes_s)
        if end == "made":
            now += takes_s
            state = state.written(name, SharedToken(name, "ann", now), now) or state
        elif end == "not":
            state = state.given_up(name, now, made=False) or state
    assert at_vendor == sorted(at_vendor)
    for index, moment in enumerate(at_vendor):
        assert index + 1 - bisect_right(at_vendor, moment - HOUR_S) <= an_hour


@given(st.integers(0, 40), st.integers(1, 12))
def test_nobody_waits_for_more_than_an_hour(count: int, an_hour: int) -> None:
    state, now = TokenState(), NOW
    for n in range(count):
        then = state.next_at(now, an_hour)
        assert then <= now + HOUR_S
        now = max(now, then)
        assert state.next_at(now, an_hour) <= now, "what was said holds"
        state = made(state, f"c-{n}", now)


@pytest.mark.parametrize("back_s", [LONGEST_CLAIM_S + 16, 86_400.0])
def test_a_clock_that_was_set_back(back_s: float) -> None:
    """What is written for a time that nobody can mean keeps nobody out."""
    state = made(TokenState(), "a", NOW).claimed(claim("b"), NOW)
    now = NOW - back_s
    assert state.busy_until(now) is None
    assert state.next_at(now, 1) <= now
    assert state.claimed(claim("c", now), now).made_lately(now) == 1


def test_what_is_long_ago_is_forgotten() -> None:
    """The state does not grow with the days."""
    state = TokenState()
    for n in range(100):
        state = made(state, f"c-{n}", NOW + n * HOUR_S)
    assert len(state.made) <= 2


def test_it_shows_no_token() -> None:
    assert "t-1" not in repr(TokenState(TOKEN))
