"""Queues that others declared: which of them lose commands, and how that is found out."""

from collections.abc import Iterator
from typing import Any

import pytest
from rabbit_server import RabbitServer

from numbergroup.brokers.amqp.connection_thread import open_connection
from numbergroup.brokers.amqp.lossy_queues import (
    QueueDeclaration,
    check_queues,
    effective_delivery_limit,
    find_dead_letter_risk,
    find_declaration,
    list_losses,
)
from numbergroup.brokers.amqp.topology import COMMAND_ARGUMENTS, DEAD_LETTER_QUEUE, Topology
from numbergroup.brokers.redis.connect import ServerNotReady, UnfitServer
from numbergroup_contracts.names import COMMANDS, REPLIES

NOWHERE = "no dead-lettering is declared"
QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture
def connection(rabbit: RabbitServer) -> Iterator[Any]:
    opened = open_connection(rabbit.url, "a test")
    delete_queues(opened)
    try:
        yield opened
    finally:
        delete_queues(opened)
        opened.collect()


def delete_queues(connection: Any) -> None:
    for queue in (COMMANDS, DEAD_LETTER_QUEUE, REPLIES):
        connection.channel().queue_delete(queue)


def losses_of(connection: Any, queue: str = COMMANDS) -> list[str]:
    declaration = find_declaration(connection, queue, COMMAND_ARGUMENTS)
    assert declaration is not None
    return list(list_losses(declaration, "3.10.8", find_dead_letter_risk(connection, queue, declaration)))


LOSSY: dict[str, tuple[dict[str, Any], str]] = {
    "delivery limit": ({**QUORUM, "x-delivery-limit": 5}, f"its delivery limit is 5, and {NOWHERE}"),
    "no delivery twice": ({**QUORUM, "x-delivery-limit": 0}, "its delivery limit is 0"),
    "letters to no exchange": (
        {**QUORUM, "x-delivery-limit": 5, "x-dead-letter-exchange": "nowhere"},
        "the exchange nowhere, which does not exist",
    ),
    "letters to no queue": (
        {**COMMAND_ARGUMENTS, "x-dead-letter-routing-key": "nowhere"},
        "its delivery limit is 1000, and its dead letters go to the queue nowhere, which does not exist",
    ),
    "letters to an exchange": (
        {**QUORUM, "x-delivery-limit": 5, "x-dead-letter-exchange": "amq.direct"},
        "the exchange amq.direct, and AMQP does not show whether they arrive in a queue there",
    ),
    "letters without a key": (
        {"x-message-ttl": 2_000, "x-dead-letter-exchange": ""},
        "come back to itself (it has no x-dead-letter-routing-key), where RabbitMQ drops them as a cycle",
    ),
    "letters at a limit without a key": (
        {**QUORUM, "x-delivery-limit": 5, "x-dead-letter-exchange": ""},
        "its delivery limit is 5, and its dead letters come back to itself",
    ),
    "letters to itself": (
        {**COMMAND_ARGUMENTS, "x-dead-letter-routing-key": COMMANDS},
        "(x-dead-letter-routing-key is its own name)",
    ),
    "time to live": ({"x-message-ttl": 60_000}, "drops what has waited for 60 s"),
    "length": ({**QUORUM, "x-max-length": 10}, "drops the oldest commands when it is full (x-max-length 10)"),
    "bytes": ({"x-max-length-bytes": 10}, "(x-max-length-bytes 10)"),
    "expiry": ({**QUORUM, "x-expires": 90_000}, "when no worker has run for 90 s"),
    "stream": ({"x-queue-type": "stream"}, "it is a stream"),
}
SAFE: dict[str, dict[str, Any]] = {
    "ours": COMMAND_ARGUMENTS,
    "classic": {},
    "quorum": QUORUM,
    "an exchange that gets nothing": {**QUORUM, "x-dead-letter-exchange": "amq.direct"},
    "letters to our queue": {
        **QUORUM,
        "x-delivery-limit": 5,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": DEAD_LETTER_QUEUE,
    },
    "full, and says so": {"x-max-length": 10, "x-overflow": "reject-publish", "x-max-priority": 3},
}


@pytest.mark.rabbitmq_server
@pytest.mark.parametrize("name", LOSSY)
def test_queues_that_lose_commands(connection: Any, rabbit: RabbitServer, name: str) -> None:
    """This reason is named and no other, whatever else differs. A worker starts only if that is accepted."""
    arguments, reason = LOSSY[name]
    connection.channel().queue_declare(COMMANDS, durable=True, auto_delete=False, arguments=arguments)
    (loss,) = losses_of(connection)
    assert reason in loss
    with pytest.raises(UnfitServer, match="NUMBERGROUP_LOSSY_QUEUES") as caught:
        check_queues(rabbit.url, Topology(), accept_losses=False)
    assert loss in str(caught.value)
    check_queues(rabbit.url, Topology(), accept_losses=True)


@pytest.mark.rabbitmq_server
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"x-message-ttl": 2_000}, f"drops what has waited for 2 s (x-message-ttl), and {NOWHERE}"),
        ({**QUORUM, "x-expires": 90_000}, "when no worker has run for 90 s"),
    ],
)
def test_a_dead_letter_queue_that_loses_messages(
    connection: Any, rabbit: RabbitServer, arguments: dict[str, Any], reason: str
) -> None:
    """It is checked like the command queues, because it holds commands. All problems are named at once."""
    connection.channel().queue_declare(
        DEAD_LETTER_QUEUE, durable=True, auto_delete=False, arguments=arguments
    )
    connection.channel().queue_declare(COMMANDS, durable=False, auto_delete=False)
    assert reason in " ".join(losses_of(connection, DEAD_LETTER_QUEUE))
    with pytest.raises(UnfitServer) as caught:
        check_queues(rabbit.url, Topology(), accept_losses=False)
    of_commands, of_dead_letters = caught.value.problems
    assert of_commands.startswith(f"the queue {COMMANDS} was declared by others")
    assert of_dead_letters.startswith(f"the queue {DEAD_LETTER_QUEUE} was declared by others")
    check_queues(rabbit.url, Topology(), accept_losses=True)


@pytest.mark.rabbitmq_server
def test_the_workers_own_declarations(connection: Any, rabbit: RabbitServer) -> None:
    """They are safe."""
    Topology().declare_all(connection)
    check_queues(rabbit.url, Topology(), accept_losses=False)


@pytest.mark.rabbitmq_server
@pytest.mark.parametrize("queue", [COMMANDS, DEAD_LETTER_QUEUE, REPLIES])
def test_an_exclusive_queue(connection: Any, rabbit: RabbitServer, queue: str) -> None:
    """It is named, with the cause. A worker waits, because the queue ends with its client."""
    connection.channel().queue_declare(queue, exclusive=True)
    with pytest.raises(ServerNotReady, match=f"another client has declared the queue {queue} as exclusive"):
        check_queues(rabbit.url, Topology(), accept_losses=True)


@pytest.mark.rabbitmq_server
@pytest.mark.parametrize(("durable", "auto_delete"), [(False, False), (True, True), (False, True)])
def test_queues_that_do_not_last(connection: Any, durable: bool, auto_delete: bool) -> None:
    """They are deleted with the broker's restart, or with the last consumer."""
    connection.channel().queue_declare(COMMANDS, durable=durable, auto_delete=auto_delete)
    losses = " ".join(losses_of(connection))
    assert ("not durable" in losses, "auto_delete" in losses) == (not durable, auto_delete)


@pytest.mark.rabbitmq_server
@pytest.mark.parametrize("name", SAFE)
def test_queues_that_keep_commands(connection: Any, rabbit: RabbitServer, name: str) -> None:
    """They are accepted, however their arguments differ from the worker's."""
    arguments = SAFE[name]
    connection.channel().queue_declare(COMMANDS, durable=True, auto_delete=False, arguments=arguments)
    assert losses_of(connection) == []
    check_queues(rabbit.url, Topology(), accept_losses=False)


@pytest.mark.rabbitmq_server
def test_the_check_declares_nothing(connection: Any, rabbit: RabbitServer) -> None:
    check_queues(rabbit.url, Topology(2), accept_losses=False)
    assert find_declaration(connection, COMMANDS, COMMAND_ARGUMENTS) is None


@pytest.mark.parametrize(
    ("arguments", "version", "limit"),
    [
        (QUORUM, "3.13.7", None),
        (QUORUM, "4.0.2", 20),
        (QUORUM, "4.1.0-rc.1", 20),
        (QUORUM, "", None),
        ({}, "4.0.2", None),
        ({**QUORUM, "x-delivery-limit": -1}, "4.0.2", None),
        (COMMAND_ARGUMENTS, "4.0.2", 1_000),
    ],
)
def test_effective_delivery_limits(arguments: dict[str, Any], version: str, limit: int | None) -> None:
    """RabbitMQ 4 has a default limit: there a quorum queue without a declared one loses commands."""
    assert effective_delivery_limit(arguments, version) == limit
    losses = list(list_losses(QueueDeclaration(arguments=arguments), version, NOWHERE))
    assert len(losses) == (limit is not None)


def test_our_arguments_leave_nothing_to_defaults() -> None:
    """The command queues have a delivery limit and a dead-letter queue."""
    assert {"x-delivery-limit", "x-dead-letter-exchange", "x-dead-letter-routing-key"} <= set(
        COMMAND_ARGUMENTS
    )
