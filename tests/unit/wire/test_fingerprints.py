"""Fingerprints: letters that failed alike are counted together."""

import json

import pytest
from contract_files import EXAMPLES
from hypothesis import example, given
from hypothesis import strategies as st

from numbergroup_contracts.dead_letters import DeadLetter, fingerprint, shape


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("no account named 'acme' is configured", "no account named # is configured"),
        ('group "sales east" has 12 numbers', "group # has # numbers"),
        ("the number <number> is bad", "the number # is bad"),
        ("group 6a7sd3402px21429s04 is unknown", "group # is unknown"),
        ("request 0f3c8a1e-77aa-4b1c-9d3e-aa12bb34cc56", "request #"),
        ("the vendor's limit isn't known", "the vendor's limit isn't known"),
        ("parameter error", "parameter error"),
    ],
)
def test_what_varies_is_left_out(message: str, expected: str) -> None:
    """Numbers, ids and quoted texts are `#`; words stay, apostrophes among them."""
    assert shape(message) == expected


@example("1''")
@given(st.text(alphabet="ab1 '\"«»<>#-_number", max_size=300) | st.text(max_size=300))
def test_the_shape_of_a_shape_is_itself(message: str) -> None:
    """What is shown as a shape leads to the same fingerprint again; it is short, and has no digit."""
    once = shape(message)
    assert shape(once) == once
    assert len(once) <= 200
    assert not any(character.isdecimal() for character in once)


@given(st.integers(10**6, 10**14), st.integers(10**6, 10**14))
def test_only_what_varies_makes_no_difference(one: int, another: int) -> None:
    """The same failure of other numbers has the same fingerprint; another kind, code or text has not."""
    first = fingerprint("refused", "1002", f"phone {one} refused")
    assert first == fingerprint("refused", "1002", f"phone {another} refused")
    others = {
        fingerprint("invalid", "1002", f"phone {one} refused"),
        fingerprint("refused", "1003", f"phone {one} refused"),
        fingerprint("refused", None, f"phone {one} refused"),
        fingerprint("refused", "1002", f"group {one} refused"),
    }
    assert len(others | {first}) == 5


def test_a_letter_of_an_earlier_version() -> None:
    """One that has none of what came later is read, with nothing in its place."""
    old = json.loads((EXAMPLES / "dead-letter.json").read_text())
    letter = DeadLetter.model_validate(old)
    assert (letter.fingerprint, letter.attempts, letter.firstTime) == (None, 0, None)
    assert (letter.replays, letter.history, letter.via) == (0, [], None)
