"""Answers that are compressed although none was asked for."""

import gzip
import time
import tracemalloc
import zlib

import pytest
from calls_rig import ADD, CREATE, FIND, Rig
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.calls import Applied, Unavailable
from numbergroup.sandbox.faults import Compressed
from numbergroup.vendors.content_coding import TooLarge, decompress

PLAIN = b'{"code":0,"msg":"success"}'
MANY = 10_000


def raw(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(data) + packing.flush()


PACKED = {
    "gzip": gzip.compress(PLAIN),
    "x-gzip": gzip.compress(PLAIN),
    "GZIP": gzip.compress(PLAIN),
    "deflate": zlib.compress(PLAIN),
    "deflate ": raw(PLAIN),
    "deflate, gzip": gzip.compress(zlib.compress(PLAIN)),
    "gzip, gzip": gzip.compress(gzip.compress(PLAIN)),
    "": gzip.compress(PLAIN),
    "identity": gzip.compress(PLAIN),
    "identity, gzip": gzip.compress(PLAIN),
    " gzip , ": gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:]),
}


@pytest.mark.parametrize("encoding", PACKED)
def test_what_is_packed_is_unpacked(encoding: str) -> None:
    """By what the header says, whatever it says in which case; a gzip also without."""
    assert decompress(PACKED[encoding], encoding, MANY) == PLAIN


@pytest.mark.parametrize(
    "encoding", ["gzip", "deflate", "br", "zstd", "utf-8", "none", "gzip, br", "gzip," * 9]
)
@pytest.mark.parametrize(
    "body",
    [PLAIN, b"", PACKED["gzip"][:-9], b"\x1f\x8b", b"\x28\xb5\x2f\xfd"],
    ids=["plain", "empty", "half", "gzip's magic number", "zstd's magic number"],
)
def test_what_cannot_be_unpacked_is_left_as_it_is(encoding: str, body: bytes) -> None:
    """A header that is not true hides no answer; and half an answer is none."""
    assert decompress(body, encoding, MANY) == body


def test_a_bomb_does_not_go_off() -> None:
    """Megabytes in a few kilobytes are refused, and no more than the bound is ever held; nor is one within
    another."""
    bomb = gzip.compress(b"\0" * 12_000_000)
    for packed, encoding in ((bomb, "gzip"), (gzip.compress(bomb), "gzip, gzip"), (bomb * 3, "")):
        tracemalloc.start()
        with pytest.raises(TooLarge):
            decompress(packed, encoding, 1_000_000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4_000_000


def test_streams_without_end() -> None:
    """A body of very many small streams is none of ours, and takes no time."""
    body = gzip.compress(b"") * 200_000
    began = time.process_time()
    assert decompress(body, "gzip", MANY) == body
    assert time.process_time() - began < 2.0


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "", "deflate, gzip"]))
def test_nothing_raises(body: bytes, encoding: str) -> None:
    """Whatever comes, something comes out of it."""
    assert isinstance(decompress(body, encoding, MANY), bytes)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_applied_call_is_not_repeated(coding: str) -> None:
    """An answer in a coding that we did not ask for is read: each call is made once, and a listing is
    whole."""
    async with Rig() as rig:
        rig.fault(Compressed(coding=coding))  # type: ignore[arg-type]
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Applied)
        assert isinstance((await rig.run(CREATE)).outcome, Applied)
        found = (await rig.run(FIND)).outcome
        assert isinstance(found, Applied)
        assert len(found.groups or ()) == 2
        # The look for a group asks for a second page: a total that equals the page may be the page's own.
        assert rig.arrived == 4


async def test_a_coding_that_nobody_can_unpack() -> None:
    """The call is in doubt, and parks; the reason names what came."""
    async with Rig(attempts=1) as rig:
        rig.fault(Compressed(coding="br"))
        ended = await rig.run(ADD)
        assert isinstance(ended.outcome, Unavailable)
        assert ended.outcome.in_doubt
        assert "without a verdict in the body" in ended.outcome.message
