"""Decompresses answers, within a limit of bytes: some vendors compress although no client asked. Pure."""

import zlib

from numbergroup.errors import NumbergroupError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
_MAX_CODINGS = 3
_MAX_STREAMS = 64


class TooLarge(NumbergroupError, ValueError):
    """Raised when the decompressed body has more bytes than it may have."""


def decompress(body: bytes, content_encoding: str, max_bytes: int) -> bytes:
    """Return the body without its `Content-Encoding` (RFC 9110, 8.4): gzip, deflate, or one upon the other.

    A gzip without a header is recognised by its first bytes. A body that cannot be decompressed is returned
    as it is: another coding, a wrong header, or a truncated body. Raises `TooLarge` when the result has more
    than `max_bytes`; no more than that are ever in memory.
    """
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if not codings and body.startswith(_GZIP_MAGIC):
        codings = ["gzip"]
    if len(codings) > _MAX_CODINGS:
        return body
    found = body
    for coding in reversed(codings):
        match coding:
            case "gzip" | "x-gzip":
                inflated = _inflate(found, _GZIP, max_bytes)
            case "deflate":
                # The standard means zlib's format; many send the raw one.
                inflated = _inflate(found, zlib.MAX_WBITS, max_bytes)
                inflated = _inflate(found, -zlib.MAX_WBITS, max_bytes) if inflated is None else inflated
            case _:
                inflated = None
        if inflated is None:
            return body
        found = inflated
    return found


def _inflate(body: bytes, window_bits: int, max_bytes: int) -> bytes | None:
    """Return the decompressed body, or `None` if a stream is broken or incomplete. A gzip may have several
    streams in a row (RFC 1952, 2.2)."""
    found = bytearray()
    for _ in range(_MAX_STREAMS):
        decompressor = zlib.decompressobj(window_bits)
        try:
            found += decompressor.decompress(body, max_bytes + 1 - len(found))
        except zlib.error:
            return None
        if len(found) > max_bytes:
            raise TooLarge("the answer does not end")
        if not decompressor.eof:
            return None
        body = decompressor.unused_data
        if window_bits != _GZIP or not body.startswith(_GZIP_MAGIC):
            return bytes(found)
    return None
