"""Phone numbers in what operators see."""

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.cli.masking import mask_body, mask_number, mask_text

phones = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
around = st.text(st.characters(exclude_categories=["Nd", "Cs"]), max_size=5)


def hidden(number: str, text: str) -> bool:
    """Whether at least three of its digits cannot be seen in `text`."""
    return number not in text and all(number[at : at + len(number) - 2] not in text for at in range(3))


@given(phones, around, around)
def test_in_texts(number: str, before: str, after: str) -> None:
    """Whatever stands around it; and all that is no digit stays."""
    masked = mask_text(before + number + after)
    assert hidden(number, masked)
    assert len(masked) == len(before + number + after)
    assert masked.startswith(before)


@given(st.text(max_size=30))
def test_of_a_number_its_shape_stays(text: str) -> None:
    """What is wrong with it can be seen still: only digits are masked."""
    masked = mask_number(text)
    assert re.sub(r"\d", "*", masked) == re.sub(r"\d", "*", text)


@given(st.lists(phones, min_size=1), st.booleans(), phones)
def test_in_bodies(numbers: list[str], as_text: bool, elsewhere: str) -> None:
    """In `phones` of either form, in texts, in names of members, and in numbers of JSON."""
    data = {
        "groupId": "g-1",
        "phones": ",".join(numbers) if as_text else numbers,
        "remark": f"call {elsewhere}",
        elsewhere: [int(elsewhere)],
    }
    event = {"specversion": "1.0", "id": "20261121093001", "data": data}
    masked = mask_body(orjson.dumps(event))
    assert all(hidden(number, masked) for number in [*numbers, elsewhere])
    told = orjson.loads(masked)
    assert (told["id"], told["data"]["groupId"]) == ("20261121093001", "g-1")


def test_numbers_that_are_no_numbers() -> None:
    """In `phones` whatever is there is masked, digit by digit, however it is written."""
    body = orjson.dumps({"data": {"phones": ["+852 1111-1114", "1234", 85211111114, {"id": "85211111114"}]}})
    assert orjson.loads(mask_body(body))["data"]["phones"] == [
        "+852 ****-*114",
        "**34",
        "852*****114",
        {"id": "852*****114"},
    ]


@given(phones)
def test_in_what_cannot_be_read(number: str) -> None:
    """Bytes that are no JSON, or no UTF-8; digits that are written as escapes, too."""
    escaped = "".join(f"\\u00{ord(digit):02x}" for digit in number)
    for body in (b"\xff" + number.encode(), f'{{"phones": ["{number}'.encode(), f'["{escaped}'.encode()):
        assert hidden(number, mask_body(body))
        assert escaped not in mask_body(body)


GROUPED = [
    "852 9876 5432",
    "852-9876-5432",
    "+852 (9876) 5432",
    "852.9876.5432",
    "852/9876/5432",
    "852_9876_5432",
    "852\u00a09876\u20115432",
    "8\u200b5\u200b2\u200b9\u200b8\u200b7\u200b6\u200b5\u200b4\u200b3\u200b2",
    "8 5 2 9 8 7 6 5 4 3 2",
    "852 2026-11-21",
]


def digits_shown(text: str) -> str:
    return "".join(re.findall(r"\d", text))


@pytest.mark.parametrize("number", GROUPED)
def test_however_they_are_grouped(number: str) -> None:
    """Badly written numbers are what letters are about: in texts, in unknown members, in what is no JSON."""
    few = digits_shown(number)[:3] + digits_shown(number)[-3:]
    assert digits_shown(mask_text(f"call {number}!")) == few
    assert digits_shown(orjson.loads(mask_body(orjson.dumps({"phone": number})))["phone"]) == few
    assert digits_shown(mask_body(f'{{"phones": ["{number}"], oops'.encode())) == few
    escaped = orjson.dumps(number).decode().replace(" ", "\\u0020").replace("/", "\\/")
    assert digits_shown(mask_body(f'{{"phones": [{escaped}], oops'.encode())) == few


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("number", GROUPED[:6])
def test_in_wide_encodings(number: str, encoding: str) -> None:
    """Their NULs part no digits."""
    masked = mask_body(f'{{"phones": ["{number}"]}}'.encode(encoding))
    shown = digits_shown(masked.replace("\\xff\\xfe", ""))
    assert shown == digits_shown(number)[:3] + digits_shown(number)[-3:]


def test_between_bytes_that_are_no_text() -> None:
    """A no-break space of Latin-1 parts no digits either, and is still seen."""
    assert mask_body(b"852\xa09876\xa05432 {") == "852\\xa0****\\xa0*432 {"


@pytest.mark.parametrize(
    "text",
    [
        "since 2026-11-21T09:30:01.483Z",
        "at 2026-11-21 09:30:01+08:00, again",
        "on 2026-11-21.",
        '{"time":"2026-11-21T09:30:01Z","specversion":"1.0","data":{"n":[1, 2, 3, 4, 5, 6, 7, 8]',
        "id 1f0e8a52-1234-4567-8901-23456a789012",
        "version 2.31.4",
    ],
)
def test_what_is_no_number(text: str) -> None:
    """Times, uuids and versions stay, also in what cannot be read."""
    assert mask_text(text) == text
    assert mask_body(text.encode()) == text


def test_numbers_in_names() -> None:
    """What looks like a uuid or a time hides no number."""
    assert hidden("085298765432", mask_text("00000000-0000-0000-0000-085298765432"))
    assert digits_shown(mask_text("2026-11-21 98765432")) == "202432"


def test_nested_deeply() -> None:
    """It is masked as text, where it cannot be as JSON."""
    for depth in (300, 900):
        assert mask_body(b"[" * depth + b'"852 9876 5432"' + b"]" * depth).strip("[]") == '"852 **** *432"'
