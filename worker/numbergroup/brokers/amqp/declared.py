"""How a queue was declared by others, which commands it would lose because of that, and who may use it.

AMQP does not tell how a queue was declared, but refuses another declaration with what differs: so it is
declared again and again, each time as the broker says it is, until that is accepted. What a policy adds does
not show.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from amqp.exceptions import ChannelError, NotFound, PreconditionFailed

from numbergroup.brokers.amqp.topology import (
    COMMAND_ARGUMENTS,
    DEAD,
    DEAD_ARGUMENTS,
    Topology,
    dead_arguments,
    declare_once,
    has_default_limit,
    is_locked,
    is_there,
)
from numbergroup.brokers.redis.connect import ServerNotReady, UnfitServer
from numbergroup.observability.logging import get_logger
from numbergroup_contracts.names import REPLIES

_DIFFERS = re.compile(
    r"inequivalent arg '([^']+)' for queue .* but current is "
    r"(none|(?:the value )?'(.*)'(?: of type '(\w+)')?)$",
    re.DOTALL,
)
_NOT_FOR_ITS_TYPE = re.compile(r"(?:invalid|unknown|unsupported) arg '([^']+)' for queue")
_TEXTS = ("longstr", "shortstr", "binary")
_ROUNDS = 40
_DEFAULT_LIMIT = 20
"""Of a quorum queue that was declared without one: https://www.rabbitmq.com/docs/quorum-queues"""

log = get_logger("rabbitmq")


@dataclass(slots=True)
class Declared:
    """What is known of a queue."""

    durable: bool = True
    auto_delete: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)


def declared(connection: Any, queue: str, guess: Mapping[str, Any]) -> Declared | None:
    """How the queue was declared, beginning with a `guess`; None where it does not exist, or it is not to be
    found out. Raises what py-amqp does over a lost connection."""
    if not is_there(connection, queue):
        return None
    found = Declared(arguments=dict(guess))
    for _ in range(_ROUNDS):
        try:
            declare_once(
                connection,
                queue,
                durable=found.durable,
                auto_delete=found.auto_delete,
                arguments=found.arguments,
            )
        except PreconditionFailed as error:
            if not _correct(found, str(error.reply_text)):
                return None
        except ChannelError:
            return None
        else:
            return found
    return None


def _correct(found: Declared, refusal: str) -> bool:
    """Make it what the broker says it is; whether that could be read."""
    if (foreign := _NOT_FOR_ITS_TYPE.search(refusal)) is not None:
        return found.arguments.pop(foreign[1], None) is not None
    differs = _DIFFERS.search(refusal)
    if differs is None:
        return False
    name, current, value, kind = differs.groups()
    if name in ("durable", "auto_delete"):
        setattr(found, name, value == "true")
    elif current == "none":
        return found.arguments.pop(name, None) is not None
    elif kind == "bool":
        found.arguments[name] = value == "true"
    else:
        found.arguments[name] = value if kind in _TEXTS or not value.lstrip("-").isdigit() else int(value)
    return True


def losses(found: Declared, version: str, nowhere: str | None) -> Iterator[str]:
    """In which ways the queue loses commands without a word, on RabbitMQ of this `version`.

    `nowhere`: why its dead letters may go nowhere; see `dead_end`.
    """
    said = found.arguments
    if not found.durable:
        yield "it is not durable: what waits is lost when RabbitMQ restarts"
    if found.auto_delete:
        yield "it is deleted with its last consumer (auto_delete): what waits is lost when the worker stops"
    if said.get("x-queue-type") == "stream":
        yield "it is a stream: what was published while no worker ran is never delivered"
    if "x-expires" in said:
        seconds = said["x-expires"] / 1000
        yield f"it is deleted, with what waits, when no worker has run for {seconds:g} s (x-expires)"
    if nowhere is None:
        return
    limit = delivery_limit(said, version)
    if limit is not None:
        yield (
            f"its delivery limit is {limit}, and {nowhere}: RabbitMQ drops a command that was given back so "
            "often, as every restart of a worker does"
        )
    if "x-message-ttl" in said:
        seconds = said["x-message-ttl"] / 1000
        yield f"it drops what has waited for {seconds:g} s (x-message-ttl), and {nowhere}"
    if not str(said.get("x-overflow", "")).startswith("reject-publish"):
        for name in ("x-max-length", "x-max-length-bytes"):
            if name in said:
                yield f"it drops the oldest commands when it is full ({name} {said[name]}), and {nowhere}"


def delivery_limit(arguments: Mapping[str, Any], version: str) -> int | None:
    """The limit that a queue with these arguments has; only quorum queues have one."""
    if arguments.get("x-queue-type") != "quorum":
        return None
    limit = arguments.get("x-delivery-limit")
    if limit is None:
        return _DEFAULT_LIMIT if has_default_limit(version) else None
    return int(limit) if int(limit) >= 0 else None


def dead_end(connection: Any, queue: str, found: Declared) -> str | None:
    """Why it is not certain that dead letters of the queue arrive in another one; None if it is.

    Raises what py-amqp does over a lost connection.
    """
    exchange = found.arguments.get("x-dead-letter-exchange")
    key = found.arguments.get("x-dead-letter-routing-key")
    if exchange is None:
        return "no dead-dead_letter_facts is declared"
    if exchange:
        if not _is_exchange(connection, exchange):
            return f"its dead letters go to the exchange {exchange}, which does not exist"
        return (
            f"its dead letters go to the exchange {exchange}, and AMQP does not show whether they arrive in "
            "a queue there"
        )
    if key is None or key == queue:
        own = "x-dead-letter-routing-key is its own name" if key else "it has no x-dead-letter-routing-key"
        return f"its dead letters come back to itself ({own}), where RabbitMQ drops them as a cycle"
    # Ours is declared by the worker that starts.
    if key != DEAD and not is_there(connection, key):
        return f"its dead letters go to the queue {key}, which does not exist"
    return None


def examine(connection: Any, topology: Topology, *, accept_losses: bool) -> None:
    """Look at the queues that are there. Declares nothing.

    Raises `UnfitServer` where one of commands or dead letters, declared by others, loses some without a
    word; with `accept_losses` it only warns. Raises `Unready` where another connection keeps a queue for
    itself, and what py-amqp does over a lost connection.
    """
    locked = [
        f"another client has declared the queue {queue} as exclusive: no worker can use it until it ends"
        for queue in (*topology.queues(), DEAD, REPLIES)
        if is_locked(connection, queue)
    ]
    lossy = []
    for queue, reasons in _losses_of_all(connection, topology):
        if accept_losses:
            log.warning("this queue was declared by others, and loses commands", queue=queue, reasons=reasons)
            continue
        lossy.append(
            f"the queue {queue} was declared by others, and loses commands: {'; '.join(reasons)}. Delete "
            "it when it is empty, and let the worker declare it; or accept that with "
            "NUMBERGROUP_LOSSY_QUEUES=accept"
        )
    if lossy:
        raise UnfitServer(*lossy, *locked)
    if locked:
        raise ServerNotReady("; ".join(locked))


def _losses_of_all(connection: Any, topology: Topology) -> Iterator[tuple[str, list[str]]]:
    """The queues that lose commands, each with the reasons."""
    version = str(connection.server_properties.get("version", ""))
    guesses = {**dict.fromkeys(topology.queues(), COMMAND_ARGUMENTS), DEAD: dead_arguments(version)}
    for queue, guess in guesses.items():
        found = declared(connection, queue, guess)
        # What a worker declared on an earlier RabbitMQ must not keep it from starting on a newer one.
        if found is None or (queue == DEAD and found.arguments == DEAD_ARGUMENTS):
            continue
        reasons = list(losses(found, version, dead_end(connection, queue, found)))
        if reasons:
            yield queue, reasons


def _is_exchange(connection: Any, name: str) -> bool:
    channel = connection.channel()
    try:
        channel.exchange_declare(name, "", passive=True)
    except NotFound:
        return False
    except ChannelError:
        return True
    channel.close()
    return True
