"""Reads the properties of AMQP messages, and turns deliveries into the engine's entries."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from numbergroup.brokers.amqp.topology import DEAD_LETTER_QUEUE
from numbergroup.brokers.redis.envelope import JSON_TYPES
from numbergroup.engine.commands import Entry

UNREADABLE = "numbergroup-unreadable"
"""The only header of a message whose properties could not be decoded. Its value is the reason."""

_KIND_BY_REASON = {"delivery_limit": "crashed", "expired": "expired"}
"""Error kinds by RabbitMQ's reasons for dead-lettering: https://www.rabbitmq.com/docs/dlx"""
_ENCODINGS = ("utf-8", "utf8", "us-ascii", "ascii", "binary", "8bit", "identity")


class Properties(NamedTuple):
    """A message's properties. `problem`: why the message is refused; `None` if it is not."""

    reply_to: str | None
    correlation_id: str | None
    problem: str | None
    headers: Mapping[str, Any]


class Delivery(NamedTuple):
    """One message as RabbitMQ delivered it.

    `tag`: the delivery tag, which counts within the channel. `is_stray`: its queue belongs to another number
    of partitions.
    """

    tag: int
    queue: str
    body: bytes
    properties: Properties
    redelivered: bool
    is_stray: bool = False


def compute_digest(body: bytes, properties: tuple[str | None, ...]) -> str:
    """Return a name for a message, 24 hex digits: of its body and the properties that its answer depends on.

    RabbitMQ has no lasting name for a message: a delivery tag is valid on one channel only.
    """
    if not any(properties):
        return blake2b(body, digest_size=12).hexdigest()
    key = blake2b(repr(properties).encode(errors="replace")).digest()
    return blake2b(body, digest_size=12, key=key).hexdigest()


def read_properties(properties: Mapping[str, Any]) -> Properties:
    """Return what the worker needs of decoded properties, whatever these contain. Never raises."""
    headers = properties.get("application_headers")
    headers = headers if isinstance(headers, dict) else {}
    return Properties(
        reply_to=_text(properties.get("reply_to")),
        correlation_id=_text(properties.get("correlation_id")),
        problem=_find_problem(properties, headers),
        headers=headers,
    )


def build_entry(delivery: Delivery, partition: int) -> Entry:
    """Return the entry of a delivery. The caller must set its `tag`.

    Its `dead_letter_name` is the message's digest.
    """
    properties = delivery.properties
    entry = Entry(
        partition,
        "",
        delivery.body,
        reply_to=properties.reply_to,
        correlation_id=properties.correlation_id,
        problem=properties.problem,
        stray_queue=delivery.queue if delivery.is_stray else None,
    )
    if delivery.queue == DEAD_LETTER_QUEUE:
        entry.problem, entry.problem_kind = _describe_death(properties.headers)
    entry.dead_letter_name = compute_digest(
        entry.body, (entry.reply_to, entry.correlation_id, entry.problem, entry.stray_queue)
    )
    return entry


def _find_problem(properties: Mapping[str, Any], headers: Mapping[str, Any]) -> str | None:
    """Return why a message with these properties is refused, if so. A missing content type counts as JSON."""
    if UNREADABLE in headers:
        return f"the message's properties cannot be read ({headers[UNREADABLE]!s:.60})"
    if "compression" in headers:
        # The size is checked before decompression: a megabyte may become gigabytes.
        return "compressed messages are not taken: publish them without compression"
    content_type = _text(properties.get("content_type"))
    if content_type is not None and content_type.partition(";")[0].strip().lower() not in JSON_TYPES:
        return f"the content type must be application/json, and is {content_type!a:.60}"
    encoding = _text(properties.get("content_encoding"))
    if encoding is not None and encoding.strip().lower() not in _ENCODINGS:
        return f"the content encoding must be utf-8, and is {encoding!a:.60}"
    return None


def _describe_death(headers: Mapping[str, Any]) -> tuple[str, str]:
    """Return why RabbitMQ dead-lettered the message, as a sentence, and the error kind."""
    deaths = headers.get("x-death")
    last = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
    reason, queue = last.get("reason", "unknown reason"), last.get("queue", "unknown")
    problem = f"the broker gave it up: {reason!s:.60}, queue {queue!s:.60}"
    return problem, _KIND_BY_REASON.get(reason, "refused") if isinstance(reason, str) else "refused"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
