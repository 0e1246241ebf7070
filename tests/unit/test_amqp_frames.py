"""Frames: what is put together and taken apart here is what py-amqp would make of it."""

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


class Written:
    """A connection's end that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: Any) -> None:
        self.data += bytes(data)


def written(*contents: tuple[tuple[int, int], str, tuple[Any, ...], amqp.Message]) -> bytes:
    """What py-amqp makes of them."""
    end = Written()
    write = frame_writer(SimpleNamespace(frame_max=LARGEST, bytes_sent=0), end)
    for method, form, arguments, message in contents:
        write(1, CHANNEL, method, amqp.serialization.dumps(form, arguments), message)
    return end.data


def delivery(tag: int, redelivered: bool, body: bytes, **properties: Any) -> Any:
    arguments = (CONSUMER, tag, redelivered, "", "numbergroup.commands")
    return Basic.Deliver, "sLbss", arguments, amqp.Message(body, **properties)


class Inbound:
    """A socket from which so many bytes come at a time, and a connection that reads them."""

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
        self.seen: list[tuple[Any, ...]] = []
        self.others: list[Any] = []
        channel = SimpleNamespace(
            is_closing=False, callbacks={CONSUMER: lambda *said: self.seen.append(said)}
        )
        self.channels = {CHANNEL: channel}
        self.on_inbound_frame = build_frame_handler(self, lambda *said: self.others.append(said[1]))
        self.frames = FrameBuffer(self, 1.0)

    def recv(self, _size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def having_timeout(self, _seconds: float) -> "Inbound":
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def read(self) -> None:
        """All of it, to the end."""
        with suppress(ConnectionResetError):
            while True:
                self.frames.handle_frames()


@given(
    st.lists(st.tuples(st.integers(1, 2**63), st.booleans(), BODIES, TEXTS), max_size=6),
    st.lists(st.integers(1, 9000), min_size=1),
)
def test_deliveries_come_out_as_they_went_in(
    messages: list[tuple[int, bool, bytes, str]], sizes: list[int]
) -> None:
    """Wherever the bytes are cut, however large the bodies, and whatever comes between."""
    acknowledgement = b"\x01\x00\x07\x00\x00\x00\x0d\x00\x3c\x00\x50" + bytes(9) + b"\xce"
    data = b""
    for tag, again, body, reply_to in messages:
        data += written(delivery(tag, again, body, reply_to=reply_to, priority=3)) + acknowledgement
    inbound = Inbound(data, sizes)
    inbound.read()
    assert [(tag, again, body, said.reply_to or "") for tag, again, said, body in inbound.seen] == messages
    assert inbound.others == [Basic.Ack] * len(messages)
    assert not inbound.connected


def test_a_synchronous_answer_is_read_from_the_same_bytes() -> None:
    """py-amqp itself, waiting for an answer, takes the frames in their order, and leaves the rest here."""
    inbound = Inbound(written(delivery(1, False, b"{}"), delivery(2, False, b"{}")), [10_000])
    kinds = [inbound.transport.read_frame()[0] for _ in range(3)]  # type: ignore[attr-defined]
    assert kinds == [1, 2, 3]
    assert inbound.frames.has_buffered_input
    inbound.frames.handle_frames()
    assert [tag for tag, *_ in inbound.seen] == [2]
    assert not inbound.frames.has_buffered_input


def test_a_frame_without_an_end_is_no_frame() -> None:
    inbound = Inbound(b"\x01\x00\x07\x00\x00\x00\x04" + bytes(4) + b"\x00", [100])
    with pytest.raises(UnexpectedFrame):
        inbound.frames.handle_frames()


@given(st.lists(st.tuples(TEXTS, BODIES, st.none() | TEXTS), max_size=8))
def test_results_are_written_as_py_amqp_writes_them(made: list[tuple[str, bytes, str | None]]) -> None:
    """To the byte: method, properties, and bodies of any size in frames that the broker takes."""
    messages = [Outgoing(*one) for one in made]
    contents = []
    for one in messages:
        properties: dict[str, Any] = (
            {} if one.correlation_id is None else {"correlation_id": one.correlation_id}
        )
        content = amqp.Message(
            one.body,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            message_id=one.message_id,
            **properties,
        )
        contents.append((Basic.Publish, "Bssbb", (0, "", one.queue, True, False), content))
    chunks = encode_chunks(CHANNEL, messages, LARGEST)
    assert b"".join(b"".join(frames) for frames in chunks) == written(*contents)


def test_messages_are_not_torn_apart() -> None:
    """Between two writes others may be written: each is of whole messages."""
    messages = [Outgoing("replies", bytes(size)) for size in (100_000, 1, 70_000, 5)]
    sizes = [
        b"".join(frames).count(b"application/json") for frames in encode_chunks(CHANNEL, messages, LARGEST)
    ]
    assert sizes == [1, 2, 1]


@given(st.binary(max_size=80) | st.binary(max_size=80).map(b"\x20\x00".__add__))
def test_no_properties_make_it_raise(raw: bytes) -> None:
    """At worst, nothing is said but that they cannot be read."""
    assert isinstance(decode_properties(raw), dict)
