"""Letters in files: what is read back is what was written."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.portable import InvalidLine, decode_line, encode_line

described = st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers(), max_size=4)
descriptions = st.binary(max_size=20) | described.map(
    lambda told: orjson.dumps({k: v for k, v in told.items() if not isinstance(v, int) or abs(v) < 2**63})
)


@given(st.text(min_size=1, max_size=20), descriptions, st.binary(), st.none() | st.binary(), st.booleans())
def test_there_and_back(
    name: str, description: bytes, body: bytes, original: bytes | None, ordered: bool
) -> None:
    """Byte by byte, whatever the bytes are."""
    try:
        fields = {b"id": name.encode(), b"letter": description, b"body": body}
    except UnicodeEncodeError:
        return
    if original is not None:
        fields[b"original"] = original
    if ordered:
        fields[b"order"] = b"1048577"
    line = encode_line(Letter(3, "77-1", fields), "here", None)
    assert b"\n" not in line
    back = decode_line(line, "here")
    assert (back.letter.partition, back.letter.fields, back.is_from_this_ledger) == (3, fields, True)
    assert not decode_line(line, "there").is_from_this_ledger


@given(st.binary())
def test_junk(line: bytes) -> None:
    """What is no letter is said to be none."""
    with pytest.raises(InvalidLine):
        decode_line(line, "here")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"id": "a", "partition": 0, "letter": {}, "masked": true}', "masked"),
        (b'{"id": "", "partition": 0, "letter": {}}', "id: "),
        (b'{"id": "a", "partition": -1, "letter": {}}', "partition: "),
        (b'{"id": "a", "partition": 0, "letter": {}, "body": {"base64": "!"}}', "base64"),
        (b'{"id": "a", "partition": 0, "letter": {"a": 99999999999999999999999}}', "letter: "),
        (b'{"id": "a", "partition": 0, "letter": {}, "shape": {"a": 99999999999999999999999}}', "shape: "),
        (b'{"id": "a", "partition": 0, "letter": {}, "phone": "85211111114"}', "phone: "),
    ],
)
def test_what_is_wrong(line: bytes, said: str) -> None:
    """Each is named, without what it holds."""
    with pytest.raises(InvalidLine, match=said) as caught:
        decode_line(line, "here")
    assert "85211111114" not in str(caught.value)
