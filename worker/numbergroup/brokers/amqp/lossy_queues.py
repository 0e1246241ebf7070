"""Finds queues that others declared so that they lose commands, or so that no worker can use them.

AMQP does not tell how a queue was declared, but refuses a different declaration and names one difference. So
the queue is declared repeatedly, with each difference corrected, until RabbitMQ accepts the declaration. What
a policy adds remains unknown.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from amqp.exceptions import ChannelError, NotFound, PreconditionFailed

from numbergroup.brokers.amqp.connection_thread import temporary_connection
from numbergroup.brokers.amqp.topology import (
    COMMAND_ARGUMENTS,
    DEAD_LETTER_ARGUMENTS,
    DEAD_LETTER_QUEUE,
    Topology,
    dead_letter_arguments,
    declare_queue,
    has_default_limit,
    is_exclusive_to_another,
    queue_exists,
)
from numbergroup.brokers.redis.connect import ServerNotReady, UnfitServer
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import REPLIES

# Error texts of RabbitMQ.
_DIFFERENCE = re.compile(
    r"inequivalent arg '([^']+)' for queue .* but current is "
    r"(none|(?:the value )?'(.*)'(?: of type '(\w+)')?)$",
    re.DOTALL,
)
_WRONG_FOR_TYPE = re.compile(r"(?:invalid|unknown|unsupported) arg '([^']+)' for queue")
_TEXT_TYPES = ("longstr", "shortstr", "binary")
_MAX_ATTEMPTS = 40
_DEFAULT_LIMIT = 20
"""Of a quorum queue that was declared without one: https://www.rabbitmq.com/docs/quorum-queues"""

log = get_logger("rabbitmq")


@dataclass(slots=True)
class QueueDeclaration:
    """How a queue was declared."""

    durable: bool = True
    auto_delete: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)


def check_queues(url: str, topology: Topology, *, accept_losses: bool) -> None:
    """Check the existing queues before a worker uses them. Declares nothing. Blocks.

    Raises `UnfitServer` if waiting does not help, or if a queue for commands or dead letters loses messages
    silently; with `accept_losses`, such a queue is only logged. Raises `ServerNotReady` if a queue is
    exclusive to another connection, and `BrokerUnavailable` if RabbitMQ does not answer.
    """
    with temporary_connection(url) as connection:
        locked = [
            f"another client has declared the queue {queue} as exclusive: no worker can use it until it ends"
            for queue in (*topology.command_queues(), DEAD_LETTER_QUEUE, REPLIES)
            if is_exclusive_to_another(connection, queue)
        ]
        problems = []
        for queue, reasons in _find_lossy_queues(connection, topology):
            if accept_losses:
                log.warning(
                    "this queue was declared by others, and loses commands", queue=queue, reasons=reasons
                )
                continue
            problems.append(
                f"the queue {queue} was declared by others, and loses commands: {'; '.join(reasons)}. Delete "
                "it when it is empty, and let the worker declare it; or accept that with "
                "NUMBERGROUP_LOSSY_QUEUES=accept"
            )
    if problems:
        raise UnfitServer(*problems, *locked)
    if locked:
        raise ServerNotReady("; ".join(locked))


def _find_lossy_queues(connection: Any, topology: Topology) -> Iterator[tuple[str, list[str]]]:
    """Yield the queues that lose commands, each with the reasons."""
    version = str(connection.server_properties.get("version", ""))
    guesses = {
        **dict.fromkeys(topology.command_queues(), COMMAND_ARGUMENTS),
        DEAD_LETTER_QUEUE: dead_letter_arguments(version),
    }
    for queue, guess in guesses.items():
        declaration = find_declaration(connection, queue, guess)
        # A worker may have declared the dead-letter queue on an earlier RabbitMQ: it must still start.
        if declaration is None or (
            queue == DEAD_LETTER_QUEUE and declaration.arguments == DEAD_LETTER_ARGUMENTS
        ):
            continue
        risk = find_dead_letter_risk(connection, queue, declaration)
        if reasons := list(list_losses(declaration, version, risk)):
            yield queue, reasons


def find_declaration(connection: Any, queue: str, guess: Mapping[str, Any]) -> QueueDeclaration | None:
    """Return how the queue was declared; `guess` are its probable arguments.

    Returns `None` if the queue does not exist, or if its declaration cannot be found out. Raises what py-amqp
    raises if the connection is lost.
    """
    if not queue_exists(connection, queue):
        return None
    declaration = QueueDeclaration(arguments=dict(guess))
    for _ in range(_MAX_ATTEMPTS):
        try:
            declare_queue(
                connection,
                queue,
                durable=declaration.durable,
                auto_delete=declaration.auto_delete,
                arguments=declaration.arguments,
            )
        except PreconditionFailed as error:
            if not _correct_declaration(declaration, str(error.reply_text)):
                return None
        except ChannelError:
            return None
        else:
            return declaration
    return None


def _correct_declaration(declaration: QueueDeclaration, refusal: str) -> bool:
    """Correct the difference that RabbitMQ's refusal names. Returns whether the refusal was understood."""
    if (wrong := _WRONG_FOR_TYPE.search(refusal)) is not None:
        return declaration.arguments.pop(wrong[1], None) is not None
    difference = _DIFFERENCE.search(refusal)
    if difference is None:
        return False
    name, current, value, value_type = difference.groups()
    if name in ("durable", "auto_delete"):
        setattr(declaration, name, value == "true")
    elif current == "none":
        return declaration.arguments.pop(name, None) is not None
    elif value_type == "bool":
        declaration.arguments[name] = value == "true"
    else:
        is_text = value_type in _TEXT_TYPES or not value.lstrip("-").isdigit()
        declaration.arguments[name] = value if is_text else int(value)
    return True


def list_losses(declaration: QueueDeclaration, version: str, risk: str | None) -> Iterator[str]:
    """Yield the ways in which the queue loses commands silently, on RabbitMQ of this `version`.

    `risk`: the result of `find_dead_letter_risk`.
    """
    arguments = declaration.arguments
    if not declaration.durable:
        yield "it is not durable: what waits is lost when RabbitMQ restarts"
    if declaration.auto_delete:
        yield "it is deleted with its last consumer (auto_delete): what waits is lost when the worker stops"
    if arguments.get("x-queue-type") == "stream":
        yield "it is a stream: what was published while no worker ran is never delivered"
    if "x-expires" in arguments:
        seconds = arguments["x-expires"] / 1000
        yield f"it is deleted, with what waits, when no worker has run for {seconds:g} s (x-expires)"
    if risk is None:
        return
    limit = effective_delivery_limit(arguments, version)
    if limit is not None:
        yield (
            f"its delivery limit is {limit}, and {risk}: RabbitMQ drops a command that was given back so "
            "often, as every restart of a worker does"
        )
    if "x-message-ttl" in arguments:
        seconds = arguments["x-message-ttl"] / 1000
        yield f"it drops what has waited for {seconds:g} s (x-message-ttl), and {risk}"
    if not str(arguments.get("x-overflow", "")).startswith("reject-publish"):
        for name in ("x-max-length", "x-max-length-bytes"):
            if name in arguments:
                setting = f"{name} {arguments[name]}"
                yield f"it drops the oldest commands when it is full ({setting}), and {risk}"


def effective_delivery_limit(arguments: Mapping[str, Any], version: str) -> int | None:
    """Return the delivery limit of a queue with these arguments; only quorum queues have one."""
    if arguments.get("x-queue-type") != "quorum":
        return None
    limit = arguments.get("x-delivery-limit")
    if limit is None:
        return _DEFAULT_LIMIT if has_default_limit(version) else None
    return int(limit) if int(limit) >= 0 else None


def find_dead_letter_risk(connection: Any, queue: str, declaration: QueueDeclaration) -> str | None:
    """Return why the queue's dead letters may not arrive in another queue; `None` if they certainly arrive.

    Raises what py-amqp raises if the connection is lost.
    """
    exchange = declaration.arguments.get("x-dead-letter-exchange")
    key = declaration.arguments.get("x-dead-letter-routing-key")
    if exchange is None:
        return "no dead-lettering is declared"
    if exchange:
        if not _exchange_exists(connection, exchange):
            return f"its dead letters go to the exchange {exchange}, which does not exist"
        return (
            f"its dead letters go to the exchange {exchange}, and AMQP does not show whether they arrive in "
            "a queue there"
        )
    if key is None or key == queue:
        cause = "x-dead-letter-routing-key is its own name" if key else "it has no x-dead-letter-routing-key"
        return f"its dead letters come back to itself ({cause}), where RabbitMQ drops them as a cycle"
    # The starting worker declares its own dead-letter queue.
    if key != DEAD_LETTER_QUEUE and not queue_exists(connection, key):
        return f"its dead letters go to the queue {key}, which does not exist"
    return None


def _exchange_exists(connection: Any, name: str) -> bool:
    channel = connection.channel()
    try:
        channel.exchange_declare(name, "", passive=True)
    except NotFound:
        return False
    except ChannelError:
        return True
    channel.close()
    return True
