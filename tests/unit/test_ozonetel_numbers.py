"""Numbers that come back from Ozonetel in another form than they were sent in."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ozonetel_said import ADD, CREDENTIALS, VENDORS

from worker.engine.model import Applied
from worker.providers.ozonetel_answers import canonical, rejected_of
from worker.providers.port import Answer

NUMBER = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True) | st.from_regex(
    r"91[1-9][0-9]{9}", fullmatch=True
)
NUMBERS = st.lists(NUMBER, unique_by=canonical, max_size=20)
JUNK: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | NUMBER,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def returned(number: str) -> str:
    """As the vendor's page shows numbers: `+91` before ten digits, `+` before twelve that begin with 91."""
    return f"+91{number}" if len(number) == 10 else f"+{number}"


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ("9876543210", "+919876543210"),
        ("919876543210", "+919876543210"),
        ("919876543210", "9876543210"),
        ("9876543210", "09876543210"),
        ("9876543210", 9876543210),
        ("85211111114", "85211111114"),
        ("85211111114", "+852 1111-1114"),
    ],
)
def test_one_number_in_two_forms(sent: str, back: Any) -> None:
    """It is matched whatever prefix it comes back with."""
    assert rejected_of({"output": {"error": [back]}}, (sent, "4930123456")) == (sent,)


@pytest.mark.parametrize(
    "error",
    [
        {"1": "+919876543210"},
        {"+919876543210": "invalid"},
        [{"number": "+919876543210", "reason": "invalid"}],
        [["+919876543210"]],
    ],
)
def test_other_shapes_of_the_list(error: Any) -> None:
    """PHP writes an array with gaps as an object: what it names was not taken all the same."""
    assert rejected_of({"output": {"error": error}}, ("919876543210", "919876543211")) == ("919876543210",)


def test_two_forms_of_one_number_in_one_call() -> None:
    """To the vendor they are one: what is said of it is said of both."""
    sent = ("9876543210", "919876543210")
    assert rejected_of({"output": {"error": ["+919876543210"]}}, sent) == sent


@given(NUMBERS, st.data())
def test_every_split_is_read_back(numbers: list[str], data: st.DataObject) -> None:
    """Whatever part of the numbers is in `error`, in whatever order: just those are rejected, as sent."""
    bad = data.draw(st.lists(st.sampled_from(numbers), unique=True)) if numbers else []
    good = [returned(one) for one in numbers if one not in bad]
    content = {"output": {"error": [returned(one) for one in bad], "succes": good}}
    assert rejected_of(content, numbers) == tuple(one for one in numbers if one in bad)


@given(NUMBERS, JUNK, JUNK)
def test_nothing_is_lost_and_nothing_invented(numbers: list[str], error: Any, output: Any) -> None:
    """Whatever stands there, it raises nothing, and what is rejected was sent, in the order sent, once."""
    for content in ({"output": {"error": error, "succes": output}}, {"output": output}):
        rejected = rejected_of(content, numbers)
        taken = [one for one in numbers if one not in rejected]
        assert sorted([*rejected, *taken]) == sorted(numbers)
        assert list(rejected) == [one for one in numbers if one in rejected]


@given(JUNK)
def test_a_success_with_any_output_is_applied(output: Any) -> None:
    """What else is in the body does not turn a success into a failure."""
    body = orjson.dumps({"status": "success", "output": output})
    got = VENDORS["legacy"].outcome(ADD, Answer(200, body), CREDENTIALS)
    assert isinstance(got, Applied)
