"""Numbers that come back from Ozonetel in another form than they were sent in."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ozonetel_said import ADD, CREDENTIALS, VENDORS

from numbergroup.engine.calls import Applied
from numbergroup.vendors.ozonetel_numbers import build_country_code_prefixer, match_number, parse_rejected
from numbergroup.vendors.port import Answer

NUMBER = st.from_regex(r"[1-9][0-9]{6,8}|[1-9][0-9]{10,14}|91[1-9][0-9]{9}", fullmatch=True)
"""What calls carry: a number of ten digits is refused, or has got its country code, before."""

NUMBERS = st.lists(NUMBER, unique=True, max_size=20)
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
        ("919876543210", "+91 98765 43210"),
        ("919876543210", "00919876543210"),
    ],
)
def test_one_number_in_two_forms(sent: str, back: Any) -> None:
    """It is matched whatever prefix it comes back with."""
    assert parse_rejected({"output": {"error": [back]}}, (sent, "4930123456")) == (sent,)


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
    assert parse_rejected({"output": {"error": error}}, ("919876543210", "919876543211")) == ("919876543210",)


@pytest.mark.parametrize(
    ("back", "meant"),
    [
        ("+919876543210", "919876543210"),
        ("9876543210", "9876543210"),
        ("+916591234567", None),
        ("+6591234567", None),
        ("006591234567", None),
        ("6591234567", "916591234567"),
    ],
)
def test_what_is_reported_is_one_number(back: str, meant: str | None) -> None:
    """The same digits go before all else, and what has its country code is not read as if it had none."""
    sent = {"9876543210", "919876543210"} | ({"916591234567"} if back != "+916591234567" else set())
    assert match_number(back, sent) == meant
    rejected = parse_rejected({"output": {"error": [back]}}, sorted(sent))
    assert rejected == (() if meant is None else (meant,))


@given(NUMBERS, st.sampled_from(["91", "1", "65", "852"]))
def test_a_country_code_goes_before_ten_digits_only(numbers: list[str], code: str) -> None:
    """All other numbers stay as they are, and what has got a code gets none again."""
    spelt = build_country_code_prefixer(code)
    assert [spelt(number) for number in numbers] == numbers
    assert spelt("6591234567") == code + "6591234567" == spelt(spelt("6591234567"))


@given(NUMBERS, st.data())
def test_every_split_is_read_back(numbers: list[str], data: st.DataObject) -> None:
    """Whatever part of the numbers is in `error`, in whatever order: just those are rejected, as sent."""
    bad = data.draw(st.lists(st.sampled_from(numbers), unique=True)) if numbers else []
    good = [returned(one) for one in numbers if one not in bad]
    content = {"output": {"error": [returned(one) for one in bad], "succes": good}}
    assert parse_rejected(content, numbers) == tuple(one for one in numbers if one in bad)


@given(NUMBERS, JUNK, JUNK)
def test_nothing_is_lost_and_nothing_invented(numbers: list[str], error: Any, output: Any) -> None:
    """Whatever stands there, it raises nothing, and what is rejected was sent, in the order sent, once."""
    for content in ({"output": {"error": error, "succes": output}}, {"output": output}):
        rejected = parse_rejected(content, numbers)
        taken = [one for one in numbers if one not in rejected]
        assert sorted([*rejected, *taken]) == sorted(numbers)
        assert list(rejected) == [one for one in numbers if one in rejected]


@given(JUNK)
def test_a_success_with_any_output_is_applied(output: Any) -> None:
    """What else is in the body does not turn a success into a failure."""
    body = orjson.dumps({"status": "success", "output": output})
    got = VENDORS["legacy"].parse_answer(ADD, Answer(200, body), CREDENTIALS)
    assert isinstance(got, Applied)
