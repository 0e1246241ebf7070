"""Reading what vendors send: dates, texts and identifiers, however odd."""

import math
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.vendors.answers import (
    json_object,
    mask_message,
    parse_identifier,
    parse_integer,
    parse_retry_after,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("9" * 400, None),
        ("1e999", None),
        ("inf", None),
        ("-Infinity", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Sat, 21 Nov 2026 12:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 13:01:30 +0100", 90.0),
        ("Sat, 21 Nov 2026 12:01:30 -0000", 90.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 21 Nov 2126 12:00:00 GMT", timedelta(days=36525 - 1).total_seconds()),
        ("Sat, 21 Nov 99999 12:00:00 GMT", None),
        ("Sat, 21 Nov 2026 12:00:00 +9999", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """`Retry-After` is seconds or a date, never negative; what is neither says nothing."""
    assert parse_retry_after(value, NOW) == seconds


def test_retry_after_with_an_impossible_zone() -> None:
    """A zone of more digits than a machine's integer is no date, and no error."""
    assert parse_retry_after("Sat, 21 Nov 2026 12:00:00 +" + "9" * 30, NOW) is None


DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Sat", "", "x"]),
    st.integers(-1, 40),
    st.sampled_from(["Nov", "Feb", "x"]),
    st.integers(-10, 10**6),
    st.integers(-1, 30),
    st.integers(-1, 70),
    st.integers(-1, 70),
    st.one_of(st.sampled_from(["GMT", "EST", ""]), st.integers(-(10**20), 10**20).map("{:+}".format)),
)


@given(st.one_of(st.text(), DATES, st.floats().map(str), st.integers().map(str)))
def test_retry_after_never_raises(value: str) -> None:
    """Whatever the header says, it is a finite number of seconds from 0, or nothing."""
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0.0 <= seconds < math.inf


@given(st.binary())
def test_a_body_is_an_object_or_nothing(body: bytes) -> None:
    """No bytes make the reader raise."""
    value = json_object(body)
    assert value is None or isinstance(value, dict)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'{"a":"cut \ud83d"}', "cut \ufffd"),
        (rb'{"a":"\ude00 cut"}', "\ufffd cut"),
        (rb'{"a":"\ude00\ud83d\ud83d\ude00"}', "\ufffd\ufffd\U0001f600"),
        (rb'{"a":"\\ud83d \ud83d"}', r"\ud83d " + "\ufffd"),
        (b'{"a":"one\ttwo\nthree\x00"}', "one\ttwo\nthree\x00"),
        (b'{"a":"cut \xf0\x9f"}', "cut \ufffd"),
        (b'{"a":"\xed\xa0\xbd \\ud83d"}', "\ufffd\ufffd\ufffd \ufffd"),
        (rb'{"a":"\ud83d","a":"\ud83d"}', "\ufffd"),
    ],
)
def test_texts_that_are_cut_off_or_raw(body: bytes, text: str) -> None:
    """Half an emoji, and a control character as it is, make no answer unreadable. What is read can be
    encoded."""
    value = json_object(body, once="a")
    assert value == {"a": text}
    assert text.encode().decode() == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(
    "text",
    [
        '{"code":"1002","code":"0"}',
        r'{"code":"1002","co\u0064e":"0"}',
        r'{"\u0063ode":"1002","cod\u0065":"0"}',
        '{"code":0,"data":{},"code":"0"}',
    ],
)
def test_a_member_with_two_values_is_found_however_it_is_written(text: str, encoding: str) -> None:
    assert json_object(text.encode(encoding), once="code") is None
    assert json_object(text.encode(encoding)) is not None


@pytest.mark.parametrize(
    "text",
    [r'{"code":"0","co\u0064e":"0"}', r'{"code":"0","m\u0065ss\u0061ge":"\u0000","data":{"code":"1"}}'],
)
def test_a_member_that_is_repeated_or_only_looks_so(text: str) -> None:
    value = json_object(text.encode("utf-16"), once="code")
    assert value is not None
    assert value["code"] == "0"
    assert json_object(text.encode(), once="code") == value


def test_cut_texts_anywhere() -> None:
    """Also in a name, and in what is nested."""
    assert json_object(rb'{"\ud83d":[{"b":["\udc00", 1, null]}]}') == {"\ufffd": [{"b": ["\ufffd", 1, None]}]}


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "x", "1,", '"\\x"'])
def test_what_is_no_json_stays_unreadable(value: str) -> None:
    """Whatever else is in the body."""
    assert json_object(rb'{"a":"\ud83d","b":' + value.encode() + b"}") is None


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), ("-7", None), (True, None), (7.0, None), ("٧", None), ("9" * 19, None), (None, None)],
)
def test_whole_numbers(value: object, number: int | None) -> None:
    """An int, also as a string of ASCII digits; no boolean, no float, nothing of more than 18 digits."""
    assert parse_integer(value) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc", "abc"),
        (" a ", "a"),
        (12, "12"),
        (0, "0"),
        (True, None),
        (1.0, None),
        ("", None),
        ("\n\x07", None),
    ],
)
def test_identifiers(value: object, text: str | None) -> None:
    """A string or an int, without what cannot be printed; of anything else nothing."""
    assert parse_identifier(value, 5) == text


@given(st.one_of(st.text(), st.integers(), st.none(), st.booleans(), st.floats()))
def test_identifiers_fit_anywhere(value: object) -> None:
    """An parse_identifier is printable, not empty, and never longer than asked for."""
    text = parse_identifier(value, 5)
    assert text is None or (text.isprintable() and 1 <= len(text) <= 5)


@given(st.text(), st.text(string.ascii_letters, min_size=8), st.text())
def test_a_secret_never_gets_through(before: str, secret: str, after: str) -> None:
    """Wherever the secret stands in a message, it is not in what is kept of it."""
    kept = mask_message(f"{before}{secret}{after}", secret)
    assert secret not in kept or secret in before + "***" + after
    assert kept.isprintable() or not kept
    assert len(kept) <= 300


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("85211111114", "<number>"),
        ("+85211111114,85235753351", "<number>,<number>"),
        ('{"phones":"85211111114"}', '{"phones":"<number>"}'),
        ("group 6a7sd3402px21429s04", "group 6a7sd3402px21429s04"),
        ("request 1602248485121429504", "request 1602248485121429504"),
        ("limit 1000, offset 123456", "limit 1000, offset 123456"),
    ],
)
def test_numbers_are_masked_and_ids_are_not(text: str, kept: str) -> None:
    """Phone numbers are 7 to 15 digits that stand alone: ids and requestIds stay readable."""
    assert mask_message(text, "") == kept


@pytest.mark.parametrize(
    "text",
    [
        "0085212345678",
        "tel85212345678",
        "85212345678x",
        "+852 1111 1114",
        "852-1111-1114",
        "(852)11111114",
        "８５２１１１１１１１４",
        "8521111111485235753351",
    ],
)
def test_numbers_are_masked_however_they_are_written(text: str) -> None:
    """Grouped, prefixed, glued to a word or in other digits: no phone number stays in a message."""
    assert sum(one.isdigit() for one in mask_message(f"invalid: {text} .", "")) < 7


def test_the_secret_is_masked_in_any_case() -> None:
    """A vendor that echoes the secret in capitals does not give it away."""
    assert "S3CR3T" not in mask_message("bad secret S3CR3T", "s3cr3t")


def test_a_number_that_json_does_not_carry_is_none() -> None:
    """A total beyond 2^53 is no total: what is written from it could not be read again."""
    assert parse_integer(10**30) is None
    assert parse_integer(-(10**30)) is None
