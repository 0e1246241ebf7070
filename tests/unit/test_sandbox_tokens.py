"""Ozonetel's tokens in the sandbox: page "Generate Token"."""

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.sandbox.ozonetel_tokens import TokenOffice


def make(office: TokenOffice, now: float, user: str = "ann") -> str:
    token = office.make(user, now)
    assert token is not None
    return token


def test_a_token_is_good_for_60_minutes() -> None:
    office = TokenOffice()
    token = make(office, 1000.0)
    assert office.accepts("ann", token, 1000.0)
    assert office.accepts("ann", token, 4599.9)
    assert not office.accepts("ann", token, 4600.0)


def test_a_new_token_kills_the_one_before_it() -> None:
    office = TokenOffice()
    old = make(office, 1000.0)
    new = make(office, 1000.0)
    assert not office.accepts("ann", old, 1001.0)
    assert office.accepts("ann", new, 1001.0)


def test_ten_an_hour_and_no_more_until_the_first_is_an_hour_old() -> None:
    office = TokenOffice()
    tokens = [make(office, 1000.0 + n) for n in range(10)]
    assert office.make("ann", 1010.0) is None
    assert office.accepts("ann", tokens[-1], 1010.0), "what was refused kills nothing"
    assert office.make("ann", 4599.9) is None
    assert office.make("ann", 4600.0) is not None
    assert office.make("ann", 4600.0) is None
    assert (office.made("ann"), office.refused("ann")) == (11, 3)


def test_users_have_tokens_of_their_own() -> None:
    office = TokenOffice(an_hour=1)
    anns, bobs = make(office, 0.0), make(office, 1.0, "bob")
    assert office.accepts("ann", anns, 2.0)
    assert office.accepts("bob", bobs, 2.0)
    assert not office.accepts("ann", bobs, 2.0)
    assert not office.accepts("carl", anns, 2.0)
    assert office.made("carl") == office.refused("carl") == 0


def test_a_killed_token_is_dead_and_the_next_one_is_not() -> None:
    office = TokenOffice()
    token = make(office, 0.0)
    office.kill("ann")
    office.kill("bob")
    assert not office.accepts("ann", token, 1.0)
    assert office.accepts("ann", make(office, 1.0), 1.0)


@pytest.mark.parametrize("back_to", [0.0, 4599.0])
def test_a_clock_that_is_set_back_neither_revives_a_token_nor_frees_the_hour(back_to: float) -> None:
    office = TokenOffice(an_hour=1)
    token = make(office, 1000.0)
    assert not office.accepts("ann", token, 4600.0)
    assert not office.accepts("ann", token, back_to)
    make(office, 4600.0)
    assert office.make("ann", back_to) is None


@given(st.lists(st.floats(0, 3 * 3600), max_size=60), st.integers(1, 12))
def test_no_hour_ever_has_more_than_it_may(times: list[float], an_hour: int) -> None:
    office = TokenOffice(an_hour=an_hour)
    made = [now for now in sorted(times) if office.make("ann", now) is not None]
    for index, now in enumerate(made):
        assert index + 1 - bisect_right(made, now - 3600.0) <= an_hour
    assert office.made("ann") == len(made)
    assert office.made("ann") + office.refused("ann") == len(times)
