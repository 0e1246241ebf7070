"""Answers that come compressed although we ask for none: unpacked within a bound. Pure."""

import zlib

from numbergroup.errors import NumbergroupError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
_MOST_CODINGS = 3
_MOST_STREAMS = 64


class TooLarge(NumbergroupError, ValueError):
    """Unpacked, it has more bytes than it may have."""


def unpacked(body: bytes, content_encoding: str, most_bytes: int) -> bytes:
    """The body without its `Content-Encoding` (RFC 9110, 8.4): gzip and deflate, also one upon the other.

    A gzip that no header tells of is told by how it begins. What cannot be unpacked is returned as it is:
    another coding, a header that is not true, or bytes that end in the middle. Raises `TooLarge` when there
    are more than `most_bytes`; no more than that are ever held.
    """
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if not codings and body.startswith(_GZIP_MAGIC):
        codings = ["gzip"]
    if len(codings) > _MOST_CODINGS:
        return body
    found = body
    for coding in reversed(codings):
        match coding:
            case "gzip" | "x-gzip":
                inflated = _inflated(found, _GZIP, most_bytes)
            case "deflate":
                # Meant is zlib's format; many send the bare one.
                inflated = _inflated(found, zlib.MAX_WBITS, most_bytes)
                inflated = _inflated(found, -zlib.MAX_WBITS, most_bytes) if inflated is None else inflated
            case _:
                inflated = None
        if inflated is None:
            return body
        found = inflated
    return found


def _inflated(body: bytes, window_bits: int, most_bytes: int) -> bytes | None:
    """`None` for what is no whole stream. A gzip may have several, one after the other (RFC 1952, 2.2)."""
    found = bytearray()
    for _ in range(_MOST_STREAMS):
        inflating = zlib.decompressobj(window_bits)
        try:
            found += inflating.decompress(body, most_bytes + 1 - len(found))
        except zlib.error:
            return None
        if len(found) > most_bytes:
            raise TooLarge("the answer does not end")
        if not inflating.eof:
            return None
        body = inflating.unused_data
        if window_bits != _GZIP or not body.startswith(_GZIP_MAGIC):
            return bytes(found)
    return None
