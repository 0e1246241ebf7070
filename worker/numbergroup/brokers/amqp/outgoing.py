"""Encodes results as AMQP frames: persistent and mandatory messages to a queue by its name.

py-amqp encodes again, for each message, what is the same in all of them, and makes one system call for each.
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
# Properties in their order; the flags tell which are present:
# https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, 4.2.6.1
_TYPE, _ENCODING, _MODE, _CORRELATION, _ID = 0x8000, 0x4000, 0x1000, 0x0400, 0x0080
_COMMON_PROPERTIES = b"\x10application/json\x05utf-8\x02"
_CHUNK_BYTES = 64 * 1024


DIRECT_REPLY_TO = "amq.rabbitmq.reply-to."
"""The prefix of the address of a client that waits for answers without a queue:
https://www.rabbitmq.com/docs/direct-reply-to"""


class Outgoing(NamedTuple):
    """A message to publish. `queue` and `correlation_id` have at most 255 bytes.

    `may_declare`: whether the queue may be declared if it is missing.
    """

    queue: str
    body: bytes
    correlation_id: str | None = None
    may_declare: bool = True

    @property
    def message_id(self) -> str:
        """The AMQP property: 32 hex digits, the same for the same body."""
        return blake2b(self.body, digest_size=16).hexdigest()


def encode_chunks(
    channel_id: int, messages: Sequence[Outgoing], max_frame_bytes: int
) -> Iterator[list[bytes]]:
    """Yield the messages' frames in order: whole messages, enough for one write to the socket.

    `max_frame_bytes`: the size of the largest frame that the broker accepts.
    """
    methods: dict[str, bytes] = {}
    frames: list[bytes] = []
    size = 0
    for message in messages:
        queue, body = message.queue, message.body
        method = methods.get(queue)
        if method is None:
            method = methods[queue] = _encode_frame(_METHOD, channel_id, _encode_publish(queue))
        frames += (method, _encode_frame(_HEADER, channel_id, _encode_header(message)))
        for start in range(0, len(body), max_frame_bytes - _OVERHEAD):
            part = body[start : start + max_frame_bytes - _OVERHEAD]
            # The body stays apart from its frame: so it is copied only once, into the written data.
            frames += (_FRAME.pack(_BODY, channel_id, len(part)), part, _END)
        size += len(body)
        if size >= _CHUNK_BYTES:
            yield frames
            frames, size = [], 0
    if frames:
        yield frames


def _encode_publish(queue: str) -> bytes:
    """Return `basic.publish` to the default exchange, which routes to each queue by its name.

    An address of direct reply-to is no queue: with `mandatory` it would be returned although it was
    delivered.
    """
    mandatory = 0 if queue.startswith(DIRECT_REPLY_TO) else _MANDATORY
    return b"".join(
        (
            _BASIC.to_bytes(2),
            _PUBLISH.to_bytes(2),
            bytes(2),
            _encode_short_string(""),
            _encode_short_string(queue),
            bytes([mandatory]),
        )
    )


def _encode_header(message: Outgoing) -> bytes:
    flags = _TYPE | _ENCODING | _MODE | _ID
    correlation = b""
    if message.correlation_id is not None:
        flags |= _CORRELATION
        correlation = _encode_short_string(message.correlation_id)
    start = _CONTENT.pack(_BASIC, 0, len(message.body), flags)
    return b"".join((start, _COMMON_PROPERTIES, correlation, b"\x20", message.message_id.encode()))


def _encode_frame(kind: int, channel_id: int, payload: bytes) -> bytes:
    return b"".join((_FRAME.pack(kind, channel_id, len(payload)), payload, _END))


def _encode_short_string(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return bytes([len(encoded)]) + encoded
