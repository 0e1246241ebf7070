"""Ozonetel's tokens in the sandbox: page "Generate Token"."""

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.sandbox.ozonetel_tokens import TokenIssuer


def make(issuer: TokenIssuer, now: float, user: str = "ann") -> str:
    token = issuer.issue(user, now)
    assert token is not None
    return token


def test_a_token_is_good_for_60_minutes() -> None:
    issuer = TokenIssuer()
    token = make(issuer, 1000.0)
    assert issuer.is_accepted("ann", token, 1000.0)
    assert issuer.is_accepted("ann", token, 4599.9)
    assert not issuer.is_accepted("ann", token, 4600.0)


def test_a_new_token_kills_the_one_before_it() -> None:
    issuer = TokenIssuer()
    old = make(issuer, 1000.0)
    new = make(issuer, 1000.0)
    assert not issuer.is_accepted("ann", old, 1001.0)
    assert issuer.is_accepted("ann", new, 1001.0)


def test_ten_an_hour_and_no_more_until_the_first_is_an_hour_old() -> None:
    issuer = TokenIssuer()
    tokens = [make(issuer, 1000.0 + n) for n in range(10)]
    assert issuer.issue("ann", 1010.0) is None
    assert issuer.is_accepted("ann", tokens[-1], 1010.0), "what was refused kills nothing"
    assert issuer.issue("ann", 4599.9) is None
    assert issuer.issue("ann", 4600.0) is not None
    assert issuer.issue("ann", 4600.0) is None
    assert (issuer.count_issued("ann"), issuer.count_refused("ann")) == (11, 3)


def test_users_have_tokens_of_their_own() -> None:
    issuer = TokenIssuer(an_hour=1)
    anns, bobs = make(issuer, 0.0), make(issuer, 1.0, "bob")
    assert issuer.is_accepted("ann", anns, 2.0)
    assert issuer.is_accepted("bob", bobs, 2.0)
    assert not issuer.is_accepted("ann", bobs, 2.0)
    assert not issuer.is_accepted("carl", anns, 2.0)
    assert issuer.count_issued("carl") == issuer.count_refused("carl") == 0


def test_a_killed_token_is_dead_and_the_next_one_is_not() -> None:
    issuer = TokenIssuer()
    token = make(issuer, 0.0)
    issuer.revoke("ann")
    issuer.revoke("bob")
    assert not issuer.is_accepted("ann", token, 1.0)
    assert issuer.is_accepted("ann", make(issuer, 1.0), 1.0)


@pytest.mark.parametrize("back_to", [0.0, 4599.0])
def test_a_clock_that_is_set_back_neither_revives_a_token_nor_frees_the_hour(back_to: float) -> None:
    issuer = TokenIssuer(an_hour=1)
    token = make(issuer, 1000.0)
    assert not issuer.is_accepted("ann", token, 4600.0)
    assert not issuer.is_accepted("ann", token, back_to)
    make(issuer, 4600.0)
    assert issuer.issue("ann", back_to) is None


@given(st.lists(st.floats(0, 3 * 3600), max_size=60), st.integers(1, 12))
def test_no_hour_ever_has_more_than_it_may(times: list[float], an_hour: int) -> None:
    issuer = TokenIssuer(an_hour=an_hour)
    made = [now for now in sorted(times) if issuer.issue("ann", now) is not None]
    for index, now in enumerate(made):
        assert index + 1 - bisect_right(made, now - 3600.0) <= an_hour
    assert issuer.count_issued("ann") == len(made)
    assert issuer.count_issued("ann") + issuer.count_refused("ann") == len(times)
