"""Bytes as an unlucky wire leaves them: flipped, lost, doubled, cut off, with something between them."""

from hypothesis import strategies as st

_TOKENS = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 400, b"[" * 300, b'"\\ud800"', b'{"":'),
    *(
        b'"id":"x",',
        b'"id":7,',
        b'"source":null,',
        b'"code":0,',
        b'"groupId":"x",',
        b" \n",
        b"/**/",
        b"85211111114",
    ),
]


@st.composite
def mutated(draw: st.DrawFn, originals: st.SearchStrategy[bytes], most: int = 5) -> bytes:
    """One of `originals` after up to `most` accidents; unharmed now and then."""
    found = bytearray(draw(originals))
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(found)))
        upto = min(len(found), at + draw(st.integers(0, 40)))
        match draw(st.sampled_from(["flip", "delete", "insert", "double", "cut", "move"])):
            case "flip" if at < len(found):
                found[at] ^= 1 << draw(st.integers(0, 7))
            case "delete":
                del found[at:upto]
            case "insert":
                found[at:at] = draw(st.sampled_from(_TOKENS) | st.binary(max_size=4))
            case "double":
                found[at:at] = found[at:upto]
            case "cut":
                del found[at:]
            case "move":
                piece = found[at:upto]
                del found[at:upto]
                to = draw(st.integers(0, len(found)))
                found[to:to] = piece
            case _:
                continue
    return bytes(found)
