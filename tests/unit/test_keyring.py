"""Version of two pairs of credentials is used, and until when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.vendors.keyring import Keyring, Version
from numbergroup.vendors.port import Credentials

A, B, C = (Credentials("key", secret) for secret in "abc")
HOUR = 3600.0


def test_one_pair() -> None:
    """Before any change there is nothing else to try, and nothing to tell."""
    ring = Keyring("x", A)
    assert (ring.get_current(0), ring.get_alternative(A, 0), ring.record_accepted(A, 0)) == (A, None, None)


def test_the_same_again_is_no_change() -> None:
    """Who writes the same credentials again has not changed them: the pair before is not forgotten for it."""
    ring = Keyring("x", A)
    assert not ring.replace(A, 0)
    assert ring.get_alternative(A, 0) is None
    assert ring.replace(B, 0)
    assert not ring.replace(B, 1)
    assert ring.get_alternative(B, 1) == A


def test_the_pair_that_was_taken_last_comes_first() -> None:
    """New ones first, until the vendor takes the former ones and not them; and back again."""
    ring = Keyring("x", A)
    ring.replace(B, 0)
    assert (ring.get_current(1), ring.get_alternative(B, 1), ring.get_alternative(A, 1)) == (B, A, B)
    assert ring.record_accepted(A, 1) is Version.PREVIOUS
    assert ring.record_accepted(A, 2) is None
    assert (ring.get_current(2), ring.get_alternative(A, 2), ring.get_alternative(B, 2)) == (A, B, A)
    assert ring.record_accepted(B, 3) is Version.NEW
    assert ring.get_current(3) == B


def test_a_change_begins_anew() -> None:
    """Version of the pairs was taken before says nothing about the next one: the newest is tried first."""
    ring = Keyring("x", A)
    ring.replace(B, 0)
    ring.record_accepted(A, 1)
    ring.replace(C, 2)
    assert ring.get_current(2) == C


def test_the_pair_that_worked_outlasts_a_mistyped_one() -> None:
    """Of those before, the one is kept that the vendor took, not one that it never has."""
    ring = Keyring("x", A)
    ring.record_accepted(A, 0)
    ring.replace(B, 1)
    ring.replace(C, 2)
    assert ring.get_alternative(C, 3) == A


def test_a_change_that_is_taken_back() -> None:
    """The pair that comes back is the newest, and the one it replaces the former."""
    ring = Keyring("x", A)
    ring.record_accepted(A, 0)
    ring.replace(B, 1)
    ring.replace(A, 2)
    assert (ring.get_current(3), ring.get_alternative(A, 3)) == (A, B)


@pytest.mark.parametrize(("now", "known"), [(HOUR - 1, True), (HOUR, False)])
def test_the_former_pair_is_forgotten(now: float, known: bool) -> None:
    """An hour after the change there is one pair again."""
    ring = Keyring("x", A)
    ring.record_accepted(A, 0)
    ring.replace(B, 0)
    assert ring.get_alternative(B, now) == (A if known else None)
    ring.replace(C, now)
    assert ring.get_alternative(C, now) == (A if known else B)


def test_the_former_pair_is_kept_while_it_is_all_that_works() -> None:
    """A vendor that does not switch is no reason to stop: the hour counts from the last time."""
    ring = Keyring("x", A)
    ring.replace(B, 0)
    for hours in range(1, 9):
        ring.record_accepted(A, hours * HOUR - 1)
    assert ring.get_current(8 * HOUR) == A
    assert ring.get_current(9 * HOUR) == B
    assert ring.get_alternative(B, 9 * HOUR) is None


def test_what_was_on_its_way() -> None:
    """An answer to a pair that is long replaced changes nothing, and the pair in use is tried instead."""
    ring = Keyring("x", A)
    ring.replace(B, 0)
    ring.record_accepted(B, 0)
    ring.replace(C, 0)
    assert ring.record_accepted(A, 1) is None
    assert (ring.get_current(1), ring.get_alternative(A, 1)) == (C, C)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["record_accepted", "replace"]), st.sampled_from([A, B, C]), st.floats(0, HOUR)
    ),
    max_size=12,
)


@given(STEPS, st.sampled_from([A, B, C]))
def test_there_is_always_something_to_sign_with(
    steps: list[tuple[str, Credentials, float]], tried: Credentials
) -> None:
    """Whatever happened: the newest pair is among the two that are tried, and no pair is tried twice."""
    ring, now = Keyring("x", A), 0.0
    for step, credentials, seconds in steps:
        now += seconds
        getattr(ring, step)(credentials, now)
    first = ring.get_current(now)
    second = ring.get_alternative(first, now)
    assert ring.newest in (first, second)
    assert first != second
    assert ring.get_alternative(tried, now) != tried
