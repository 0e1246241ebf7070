"""The outline of a message: where no parser goes, brackets and quotes still tell what is where."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.decoding.json_scanner import member_bytes, split_array, string_members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(VALUES), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_elements_are_what_a_parser_finds(values: list[Any], indent: Any, ascii_: bool) -> None:
    """On anything that a parser can read, however it is written."""
    body = json.dumps(values, indent=indent, ensure_ascii=ascii_).encode()
    found, complete = split_array(body)
    assert complete
    assert [json.loads(one) for one in found] == values
    assert all(one in body for one in found)


@given(st.dictionaries(st.sampled_from(["id", "source", "a", 'q"', "\\", "ü"]), VALUES), st.booleans())
def test_texts_are_what_a_parser_finds(values: dict[str, Any], ascii_: bool) -> None:
    body = json.dumps(values, ensure_ascii=ascii_).encode()
    assert string_members(body) == {name: value for name, value in values.items() if isinstance(value, str)}


@given(st.dictionaries(st.sampled_from(["data", "source", 'q"', "\\"]), VALUES), st.booleans())
def test_a_member_is_what_a_parser_finds(values: dict[str, Any], ascii_: bool) -> None:
    """Of objects and arrays; anything else is none."""
    found = member_bytes(json.dumps(values, ensure_ascii=ascii_).encode(), "data")
    expected = values.get("data")
    assert (json.loads(found) if found else None) == (expected if isinstance(expected, dict | list) else None)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"data":{', b'{"data":{"a":[}', b'["data",{}]', b'{"data":7,"b":{}}', b'}{"data":']
)
def test_a_member_that_is_not_there(body: bytes) -> None:
    """Whatever the bytes are: nothing is found, and nothing raises."""
    assert member_bytes(body, "data") == b""


@pytest.mark.parametrize(
    ("body", "found", "complete"),
    [
        (b"", [], False),
        (b"[]", [], True),
        (b" [ ] ", [], True),
        (b"[1]", [b"1"], True),
        (b"[1] 2", [b"1"], False),
        (b"[1,", [b"1"], False),
        (b"[1,2", [b"1"], False),
        (b"[1,]", [b"1", b""], True),
        (b"[,]", [b"", b""], True),
        (b"[1,[2,3],{4,5},6]", [b"1", b"[2,3]", b"{4,5}", b"6"], True),
        (b'["]", "\\"]", "\\\\"]', [b'"]"', b'"\\"]"', b'"\\\\"'], True),
        (b'[1,"2]', [b"1"], False),
        (b'[1,"2\\', [b"1"], False),
        (b"[[1},2]", [b"[1}", b"2"], True),
    ],
)
def test_elements(body: bytes, found: list[bytes], complete: bool) -> None:
    assert split_array(body) == (found, complete)


def test_elements_are_looked_for_up_to_a_number() -> None:
    found, complete = split_array(b"[" + b"1," * 100 + b"1]", max_elements=10)
    assert (found, complete) == ([b"1"] * 10, False)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", {}),
        (b'["id", "a"]', {}),
        (b'"id": "a"', {}),
        (b'{"id": "a"}', {"id": "a"}),
        (b'\xef\xbb\xbf {"id": "a"}', {"id": "a"}),
        (b'{"id": "a", "x": {"id": "b"}, "y": ["id", "c"]', {"id": "a"}),
        (b'{"x": [{"id": "b"}], "id": "a"} {"id": "c"}', {"id": "a"}),
        (b'{"id": "a", "id": "b"}', {"id": "b"}),
        (b'{"id": "a", "id": 7}', {}),
        (b'{"id": "a", "id": "b', {}),
        (b'{"id": "\\u0061\\n"}', {"id": "a\n"}),
        (b'{"\\u0069d": "a"}', {"id": "a"}),
        (b'{"id": "\\ud800"}', {}),
        (b'{"id": "\xff"}', {}),
        (b'{"id": "a\n"}', {}),
        (b'{"id", "a": "b"}', {"a": "b"}),
        (b'{"id" "a"}', {}),
        (b'{id: "a"}', {}),
        (b'{"x": NaN, "y": 01, "id": "a"}', {"id": "a"}),
        (b'{"x": "' + b"\\" * 10 + b'", "id": "a"}', {"id": "a", "x": "\\" * 5}),
    ],
)
def test_texts(body: bytes, found: dict[str, str]) -> None:
    assert string_members(body) == found
