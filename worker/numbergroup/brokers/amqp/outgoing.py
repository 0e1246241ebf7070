"""Results as frames, ready to be sent: persistent and mandatory, to a queue by its name.

py-amqp serialises what is the same in all of them for each, and writes each to the socket by itself.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

_METHOD, _HEADER, _BODY = 1, 2, 3
_BASIC, _PUBLISH, _MANDATORY = 60, 40, 1
_FRAME = Struct(">BHI")
_CONTENT = Struct(">HHQH")
_END = b"\xce"
_OVERHEAD = 8
# Properties in their order; the flags say which there are:
# https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, 4.2.6.1
_TYPE, _ENCODING, _MODE, _CORRELATION, _ID = 0x8000, 0x4000, 0x1000, 0x0400, 0x0080
_ALWAYS = b"\x10application/json\x05utf-8\x02"
_CHUNK_BYTES = 64 * 1024


DIRECT_REPLY_TO = "amq.rabbitmq.reply-to."
"""How the address of a client begins that waits for answers without a queue:
https://www.rabbitmq.com/docs/direct-reply-to"""


class Outgoing(NamedTuple):
    """`queue` and `correlation_id` have 255 bytes at most. `declare`: whether the queue may be declared where
    it is missing."""

    queue: str
    body: bytes
    correlation_id: str | None = None
    declare: bool = True

    @property
    def name(self) -> str:
        """Its message id: the same for the same body."""
        return blake2b(self.body, digest_size=16).hexdigest()


def chunks(channel: int, messages: Sequence[Outgoing], most_bytes: int) -> Iterator[list[bytes]]:
    """The messages' frames in order, whole messages at a time: enough for one write to the socket.

    `most_bytes`: of the largest frame that the broker takes.
    """
    begun: dict[str, bytes] = {}
    frames: list[bytes] = []
    size = 0
    for message in messages:
        queue, body = message.queue, message.body
        method = begun.get(queue)
        if method is None:
            method = begun[queue] = _frame(_METHOD, channel, _method(queue))
        frames += (method, _frame(_HEADER, channel, _header(message)))
        for at in range(0, len(body), most_bytes - _OVERHEAD):
            part = body[at : at + most_bytes - _OVERHEAD]
            # The body apart from its frame: it is copied once, into what is written.
            frames += (_FRAME.pack(_BODY, channel, len(part)), part, _END)
        size += len(body)
        if size >= _CHUNK_BYTES:
            yield frames
            frames, size = [], 0
    if frames:
        yield frames


def _method(queue: str) -> bytes:
    """To the default exchange, which knows each queue by its name.

    An address of direct reply-to is no queue: with `mandatory` it would come back although it was delivered.
    """
    mandatory = 0 if queue.startswith(DIRECT_REPLY_TO) else _MANDATORY
    return b"".join(
        (_BASIC.to_bytes(2), _PUBLISH.to_bytes(2), bytes(2), _short(""), _short(queue), bytes([mandatory]))
    )


def _header(message: Outgoing) -> bytes:
    flags = _TYPE | _ENCODING | _MODE | _ID
    correlation = b""
    if message.correlation_id is not None:
        flags |= _CORRELATION
        correlation = _short(message.correlation_id)
    start = _CONTENT.pack(_BASIC, 0, len(message.body), flags)
    return b"".join((start, _ALWAYS, correlation, b"\x20", message.name.encode()))


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return b"".join((_FRAME.pack(kind, channel, len(payload)), payload, _END))


def _short(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return bytes([len(encoded)]) + encoded
