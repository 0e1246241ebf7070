"""Messages whose properties py-amqp cannot read, as other clients may send them."""

import json
from struct import pack
from typing import Any

import amqp
import pytest
from e2e_answers import letters
from e2e_brokers import on_rabbitmq
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_corpus import event
from e2e_processes import eventually
from e2e_rabbit import COMMANDS, RabbitStage

pytestmark = [pytest.mark.redis_server, on_rabbitmq]

CONTENT_TYPE, HEADERS, REPLY_TO = 0x8000, 0x2000, 0x0200


class Raw(amqp.Message):  # type: ignore[misc]
    """A message with these bytes for its properties."""

    def __init__(self, body: bytes, flags: int, properties: bytes) -> None:
        super().__init__(body)
        self._raw = pack(">H", flags) + properties

    def _serialize_properties(self) -> bytes:
        return self._raw


def short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def table(*fields: bytes) -> bytes:
    content = b"".join(short(b"x") + field for field in fields)
    return pack(">I", len(content)) + content


def nested(depth: int) -> bytes:
    found = table()
    for _ in range(depth):
        found = table(b"F" + found)
    return found


UNREADABLE = {
    "content type": (CONTENT_TYPE, short(b"application/\xff\xfejson")),
    "reply to": (REPLY_TO, short(b"\xc0\x80")),
    "both": (CONTENT_TYPE | HEADERS | REPLY_TO, short(b"\xff") + nested(900) + short(b"\xff")),
}
ODD = {
    "a 16-bit number": (HEADERS, table(b"s" + pack(">h", -2))),
    "a date far ahead": (HEADERS, table(b"T" + pack(">Q", 2**63))),
    "tables in tables": (CONTENT_TYPE | HEADERS, short(b"application/json") + nested(2_000)),
    "a text that is none": (HEADERS, table(b"S" + pack(">I", 2) + b"\xff\xfe")),
    "a tiny decimal": (HEADERS, table(b"D" + bytes([255]) + pack(">i", 1))),
}


def test_properties_that_cannot_be_read(stage: RabbitStage) -> None:
    """They end no connection: what has odd headers is applied, for nobody asks for these, and what says in
    bytes that are no text how it is to be read, or answered, is rejected."""
    script, answers = Script(), stage.answers()
    worker = stage.worker()
    messages: list[Any] = []
    for name, (flags, raw) in UNREADABLE.items():
        messages.append(Raw(json.dumps(event(name)).encode(), flags, raw))
        messages.append(Raw(b"", flags, raw))
    for number, (flags, raw) in enumerate(ODD.values()):
        (body,) = lone([script.update("odd", "add", [f"8529{number:07}"])])
        messages.append(Raw(body, flags, raw))
    messages += [amqp.Message(body) for body in lone(script.some_updates(20, ["good"]))]
    for message in messages:
        stage.publish_messages([message])
    expected = len(script.events) + len(UNREADABLE)
    eventually(lambda: answers.count == expected and not stage.backlog(), "all results")

    statuses = answers.statuses()
    assert {name for name in statuses if statuses[name] == "rejected"} == set(UNREADABLE)
    messages_of = {letter.error.message for letter, _ in letters(stage.redis.client)}
    assert messages_of == {"the message's properties cannot be read (UnicodeDecodeError)"}
    # The empty ones are equal, and so have one letter.
    assert len(letters(stage.redis.client)) == len(UNREADABLE) + 1
    assert stage.vendor.groups() == script.groups
    assert "connection lost" not in worker.err


def test_a_routing_key_that_is_no_text(stage: RabbitStage) -> None:
    """Behind an exchange of somebody else's it may be any bytes: the command is applied."""
    script, answers = Script(), stage.answers()
    worker = stage.worker()
    (body,) = lone([script.update("group", "add", ["85212345671"])])
    with stage.connect() as connection:
        channel = connection.channel()
        channel.exchange_declare("theirs", "fanout")
        channel.queue_bind(COMMANDS, "theirs")
        channel.basic_publish(amqp.Message(body), "theirs", b"\xff\xfe")
    all_settled(stage, script, answers)
    assert "connection lost" not in worker.err
