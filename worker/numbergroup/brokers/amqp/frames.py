"""Deliveries, put together from their frames here, and not by py-amqp: at a fifth of the cost, and so that
what one message says does not end the connection.

RabbitMQ passes texts that are not UTF-8 on, dates beyond every calendar, and tables within tables without
end. py-amqp raises over each, and the message would come again on the next connection.
"""

from collections.abc import Callable
from struct import Struct, unpack_from
from typing import Any

from amqp.method_framing import frame_handler
from amqp.serialization import decode_properties_basic

from numbergroup.brokers.amqp.delivery import UNREADABLE, Properties, read_properties
from numbergroup.brokers.amqp.frame_buffer import Frame

_METHOD, _HEADER, _BODY = 1, 2, 3
_DELIVER = bytes([0, 60, 0, 60])
_TAG = Struct(">Q?")
_SIZE = Struct(">Q")
_HEADERS = 0x2000
_BEFORE_HEADERS = (0x8000, 0x4000)
_MOST_KNOWN = 256
_LONGEST_KNOWN = 512


class _Begun:
    """A delivery of which not every frame is here."""

    __slots__ = ("consumer", "left", "parts", "redelivered", "said", "tag")

    def __init__(self, content: bytes) -> None:
        end = 5 + content[4]
        self.consumer = str(content[5:end], "utf-8")
        self.tag, self.redelivered = _TAG.unpack_from(content, end)
        self.said: Properties | None = None
        self.left = 0
        self.parts: list[bytes] = []


def delivering_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[Frame], bool]:
    """In place of py-amqp's own handler of frames, which gets all the others. A consumer's callback is called
    with the delivery tag, whether it was delivered before, what its properties say, and its body."""
    handle = frame_handler(connection, callback)
    begun: dict[int, _Begun] = {}
    # Most producers say the same of every message: it is read once.
    known: dict[bytes, Properties] = {}

    def said_by(raw: bytes) -> Properties:
        said = known.get(raw)
        if said is None:
            said = read_properties(properties_in(raw))
            if len(raw) <= _LONGEST_KNOWN:
                if len(known) >= _MOST_KNOWN:
                    known.clear()
                known[raw] = said
        return said

    def hand_on(channel: int, one: _Begun) -> bool:
        del begun[channel]
        target = connection.channels[channel]
        if not target.is_closing:
            body = one.parts[0] if len(one.parts) == 1 else b"".join(one.parts)
            target.callbacks[one.consumer](one.tag, one.redelivered, one.said, body)
        return True

    def on_frame(frame: Frame) -> bool:
        kind, channel, content = frame
        if kind == _METHOD and content.startswith(_DELIVER):
            begun[channel] = _Begun(content)
            return False
        one = begun.get(channel)
        if one is None or kind not in (_HEADER, _BODY):
            return bool(handle(frame))
        if kind == _HEADER:
            (one.left,) = _SIZE.unpack_from(content, 4)
            one.said = said_by(content[12:])
        else:
            one.left -= len(content)
            one.parts.append(content)
        return one.left <= 0 and hand_on(channel, one)

    return on_frame


def properties_in(raw: bytes) -> dict[str, Any]:
    """A message's properties as far as they can be read: without the table of headers, which is not needed,
    or nothing but the reason."""
    try:
        return _decoded(raw)
    except Exception:
        try:
            return _decoded(_without_table(raw))
        except Exception as error:
            return {"application_headers": {UNREADABLE: type(error).__name__}}


def _decoded(raw: bytes) -> dict[str, Any]:
    properties: dict[str, Any] = decode_properties_basic(raw, 0)[0]
    return properties


def _without_table(raw: bytes) -> bytes:
    flags: int = unpack_from(">H", raw)[0]
    if not flags & _HEADERS:
        return raw
    start = 2
    for flag in _BEFORE_HEADERS:
        if flags & flag:
            start += 1 + raw[start]
    (length,) = unpack_from(">I", raw, start)
    return (flags & ~_HEADERS).to_bytes(2) + raw[2:start] + raw[start + 4 + length :]
