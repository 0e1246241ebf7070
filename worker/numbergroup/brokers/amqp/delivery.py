"""Deliveries of AMQP: what a message's properties say, and the entry that it becomes."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from numbergroup.brokers.amqp.topology import DEAD
from numbergroup.brokers.redis.envelope import JSON_TYPES
from numbergroup.engine.commands import Entry

UNREADABLE = "numbergroup-unreadable"
"""The only header of a message whose properties could not be read: why that was."""

_KINDS = {"delivery_limit": "crashed", "expired": "expired"}
"""RabbitMQ's reasons of dead-dead_letter_facts: https://www.rabbitmq.com/docs/dlx"""
_ENCODINGS = ("utf-8", "utf8", "us-ascii", "ascii", "binary", "8bit", "identity")


class Properties(NamedTuple):
    """What a message's properties say. `problem`: why it is not read, if so."""

    reply_to: str | None
    correlation_id: str | None
    problem: str | None
    headers: Mapping[str, Any]


class Delivery(NamedTuple):
    """One message as it came. `tag` is the broker's, and counts within its channel. `stray`: its queue is of
    another number of partitions."""

    tag: int
    queue: str
    body: bytes
    said: Properties
    redelivered: bool
    stray: bool = False


def digest_of(body: bytes, said: tuple[str | None, ...]) -> str:
    """Names a message by its body and by the properties that its answer depends on: 24 hex digits.

    RabbitMQ has no lasting name for a message: a delivery tag ends with its channel.
    """
    if not any(said):
        return blake2b(body, digest_size=12).hexdigest()
    key = blake2b(repr(said).encode(errors="replace")).digest()
    return blake2b(body, digest_size=12, key=key).hexdigest()


def read_properties(properties: Mapping[str, Any]) -> Properties:
    """Whatever they are: it does not raise."""
    headers = properties.get("application_headers")
    headers = headers if isinstance(headers, dict) else {}
    return Properties(
        _text(properties.get("reply_to")),
        _text(properties.get("correlation_id")),
        objection(properties, headers),
        headers,
    )


def entry_of(delivery: Delivery, partition: int) -> Entry:
    """What intake is to read. Its `name` is the message's digest; its `tag` has to be filled in."""
    said = delivery.said
    entry = Entry(
        partition,
        "",
        delivery.body,
        reply_to=said.reply_to,
        correlation_id=said.correlation_id,
        problem=said.problem,
        stray_queue=delivery.queue if delivery.stray else None,
    )
    if delivery.queue == DEAD:
        entry.problem, entry.problem_kind = _given_up(said.headers)
    entry.dead_letter_name = digest_of(
        entry.body, (entry.reply_to, entry.correlation_id, entry.problem, entry.stray_queue)
    )
    return entry


def objection(properties: Mapping[str, Any], headers: Mapping[str, Any]) -> str | None:
    """Why a message with these properties is not read, if so. A missing content type counts as JSON."""
    if UNREADABLE in headers:
        return f"the message's properties cannot be read ({headers[UNREADABLE]!s:.60})"
    if "compression" in headers:
        # Inflating comes before any check of the size: a megabyte may become gigabytes.
        return "compressed messages are not taken: publish them without compression"
    kind = _text(properties.get("content_type"))
    if kind is not None and kind.partition(";")[0].strip().lower() not in JSON_TYPES:
        return f"the content type must be application/json, and is {kind!a:.60}"
    encoding = _text(properties.get("content_encoding"))
    if encoding is not None and encoding.strip().lower() not in _ENCODINGS:
        return f"the content encoding must be utf-8, and is {encoding!a:.60}"
    return None


def _given_up(headers: Mapping[str, Any]) -> tuple[str, str]:
    deaths = headers.get("x-death")
    last = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
    reason, queue = last.get("reason", "unknown reason"), last.get("queue", "unknown")
    said = f"the broker gave it up: {reason!s:.60}, queue {queue!s:.60}"
    return said, _KINDS.get(reason, "refused") if isinstance(reason, str) else "refused"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
