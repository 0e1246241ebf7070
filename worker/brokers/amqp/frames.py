"""Frames that py-amqp cannot read, made readable: what one message says must not end the connection.

RabbitMQ passes texts that are not UTF-8 on, dates beyond every calendar, and tables within tables without
end. py-amqp raises over each, and the message would come again on the next connection.
"""

from collections.abc import Callable
from struct import pack, unpack_from
from typing import Any

from amqp import spec
from amqp.method_framing import frame_handler
from amqp.serialization import decode_properties_basic, dumps, loads

UNREADABLE = "numbergroup-unreadable"
"""The only header of a message whose properties could not be read: why that was."""

_METHOD, _HEADER = 1, 2
_FIXED = 12
_HEADERS = 0x2000
_BEFORE_HEADERS = (0x8000, 0x4000)
_DELIVER = "sLbss"

Frame = tuple[int, int, bytes]


def tolerant_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[Frame], bool]:
    """In place of py-amqp's own handler of frames."""

    def dispatch(channel: int, method: tuple[int, int], arguments: bytes, content: Any) -> None:
        try:
            callback(channel, method, arguments, content)
        except UnicodeDecodeError:
            if method != spec.Basic.Deliver or (legible := _legible(arguments)) == arguments:
                raise
            callback(channel, method, legible, content)

    handle = frame_handler(connection, dispatch)

    def on_frame(frame: Frame) -> bool:
        try:
            return bool(handle(frame))
        except Exception:
            kind, channel, content = frame
            if kind != _HEADER or (mended := _mended(content)) == content:
                raise
            return bool(handle((kind, channel, mended)))

    return on_frame


def _mended(header: bytes) -> bytes:
    """The same header as far as it can be read: without its table of headers, which is not needed, or with
    nothing but the reason."""
    if _complaint(header) is None:
        return header
    bare = _without_table(header)
    complaint = _complaint(bare)
    if complaint is None:
        return bare
    return bytes(header[:_FIXED]) + pack(">H", _HEADERS) + bytes(dumps("F", [{UNREADABLE: complaint}]))


def _complaint(header: bytes) -> str | None:
    try:
        decode_properties_basic(header, _FIXED)
    except Exception as error:
        return type(error).__name__
    return None


def _without_table(header: bytes) -> bytes:
    (flags,) = unpack_from(">H", header, _FIXED)
    if not flags & _HEADERS:
        return header
    start = first = _FIXED + 2
    for flag in _BEFORE_HEADERS:
        if flags & flag:
            start += 1 + header[start]
    (length,) = unpack_from(">I", header, start)
    before, after = bytes(header[first:start]), bytes(header[start + 4 + length :])
    return bytes(header[:_FIXED]) + pack(">H", flags & ~_HEADERS) + before + after


def _legible(arguments: bytes) -> bytes:
    """The arguments of a delivery, whose routing key may be bytes of any kind."""
    try:
        loads(_DELIVER, arguments, 4)
    except UnicodeDecodeError:
        at = 4
        at += 1 + arguments[at] + 8 + 1
        at += 1 + arguments[at]
        return bytes(arguments[:at]) + b"\0"
    return arguments
