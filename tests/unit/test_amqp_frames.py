"""Frames are decoded and encoded as by py-amqp."""

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import amqp
import pytest
from amqp.exceptions import UnexpectedFrame
from amqp.method_framing import frame_writer
from amqp.spec import Basic
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.brokers.amqp.frame_buffer import FrameBuffer
from numbergroup.brokers.amqp.frames import build_frame_handler, decode_properties
from numbergroup.brokers.amqp.outgoing import Outgoing, encode_chunks

CHANNEL, CONSUMER = 7, "amq.ctag-1"
LARGEST = 256
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
BODIES = st.binary(max_size=40) | st.binary(min_size=LARGEST - 70, max_size=3 * LARGEST)


class RecordingTransport:
    """A transport that keeps the written bytes."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: Any) -> None:
        self.data += bytes(data)


def encode_with_amqp(*contents: tuple[tuple[int, int], str, tuple[Any, ...], amqp.Message]) -> bytes:
    """Return the frames that py-amqp writes."""
    transport = RecordingTransport()
    write = frame_writer(SimpleNamespace(frame_max=LARGEST, bytes_sent=0), transport)
    for method, form, arguments, message in contents:
        write(1, CHANNEL, method, amqp.serialization.dumps(form, arguments), message)
    return transport.data


def delivery(tag: int, redelivered: bool, body: bytes, **properties: Any) -> Any:
    arguments = (CONSUMER, tag, redelivered, "", "numbergroup.commands")
    return Basic.Deliver, "sLbss", arguments, amqp.Message(body, **properties)


class Inbound:
    """A connection whose socket returns pieces of the given sizes, and that records what it handles."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._pieces: list[bytes] = []
        while data:
            size = sizes[len(self._pieces) % len(sizes)]
            self._pieces.append(data[:size])
            data = data[size:]
        self.sock = self
        self.transport = self
        self.connected = True
        self.bytes_recv = 0
        self.deliveries: list[tuple[Any, ...]] = []
        self.other_methods: list[Any] = []
        channel = SimpleNamespace(
            is_closing=False, callbacks={CONSUMER: lambda *arguments: self.deliveries.append(arguments)}
        )
        self.channels = {CHANNEL: channel}
        self.on_inbound_frame = build_frame_handler(
            self, lambda *arguments: self.other_methods.append(arguments[1])
        )
        self.frames = FrameBuffer(self, 1.0)

    def recv(self, _size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def having_timeout(self, _seconds: float) -> "Inbound":
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def read_all(self) -> None:
        """Handle all frames, until the connection is closed."""
        with suppress(ConnectionResetError):
            while True:
                self.frames.handle_frames()


@given(
    st.lists(st.tuples(st.integers(1, 2**63), st.booleans(), BODIES, TEXTS), max_size=6),
    st.lists(st.integers(1, 9000), min_size=1),
)
def test_deliveries_are_decoded(messages: list[tuple[int, bool, bytes, str]], sizes: list[int]) -> None:
    """However the bytes are split, however large the bodies are, and with other frames in between."""
    acknowledgement = b"\x01\x00\x07\x00\x00\x00\x0d\x00\x3c\x00\x50" + bytes(9) + b"\xce"
    data = b""
    for tag, redelivered, body, reply_to in messages:
        data += (
            encode_with_amqp(delivery(tag, redelivered, body, reply_to=reply_to, priority=3))
            + acknowledgement
        )
    inbound = Inbound(data, sizes)
    inbound.read_all()
    decoded = [
        (tag, redelivered, body, properties.reply_to or "")
        for tag, redelivered, properties, body in inbound.deliveries
    ]
    assert decoded == messages
    assert inbound.other_methods == [Basic.Ack] * len(messages)
    assert not inbound.connected


def test_py_amqp_reads_from_the_buffer() -> None:
    """py-amqp gets the next frames while it waits for an answer; the others stay in the buffer."""
    inbound = Inbound(encode_with_amqp(delivery(1, False, b"{}"), delivery(2, False, b"{}")), [10_000])
    kinds = [inbound.transport.read_frame()[0] for _ in range(3)]  # type: ignore[attr-defined]
    assert kinds == [1, 2, 3]
    assert inbound.frames.has_buffered_input
    inbound.frames.handle_frames()
    assert [tag for tag, *_ in inbound.deliveries] == [2]
    assert not inbound.frames.has_buffered_input


def test_a_frame_with_a_wrong_end_byte() -> None:
    inbound = Inbound(b"\x01\x00\x07\x00\x00\x00\x04" + bytes(4) + b"\x00", [100])
    with pytest.raises(UnexpectedFrame):
        inbound.frames.handle_frames()


@given(st.lists(st.tuples(TEXTS, BODIES, st.none() | TEXTS), max_size=8))
def test_results_are_encoded(results: list[tuple[str, bytes, str | None]]) -> None:
    """The bytes are those of py-amqp: method, properties, and bodies of any size."""
    messages = [Outgoing(*result) for result in results]
    contents = []
    for message in messages:
        properties: dict[str, Any] = (
            {} if message.correlation_id is None else {"correlation_id": message.correlation_id}
        )
        content = amqp.Message(
            message.body,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            message_id=message.message_id,
            **properties,
        )
        contents.append((Basic.Publish, "Bssbb", (0, "", message.queue, True, False), content))
    chunks = encode_chunks(CHANNEL, messages, LARGEST)
    assert b"".join(b"".join(frames) for frames in chunks) == encode_with_amqp(*contents)


def test_chunks_have_whole_messages() -> None:
    """Other frames may be written between two chunks."""
    messages = [Outgoing("replies", bytes(size)) for size in (100_000, 1, 70_000, 5)]
    counts = [
        b"".join(frames).count(b"application/json") for frames in encode_chunks(CHANNEL, messages, LARGEST)
    ]
    assert counts == [1, 2, 1]


@given(st.binary(max_size=80) | st.binary(max_size=80).map(b"\x20\x00".__add__))
def test_no_properties_raise(raw: bytes) -> None:
    assert isinstance(decode_properties(raw), dict)
