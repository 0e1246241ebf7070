"""Queues of commands that were declared by others: how that is found out, and what it would cost."""

from collections.abc import Iterator
from typing import Any

import pytest
from rabbit_server import RabbitServer

from numbergroup.brokers.amqp.broker import check
from numbergroup.brokers.amqp.connection_thread import open_connection
from numbergroup.brokers.amqp.declared import Declared, dead_end, declared, delivery_limit, losses
from numbergroup.brokers.amqp.topology import COMMAND_ARGUMENTS, DEAD, Topology
from numbergroup.brokers.connect import UnfitServer
from numbergroup_contracts.names import COMMANDS

NOWHERE = "no dead-lettering is declared"
QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture
def connection(rabbit: RabbitServer) -> Iterator[Any]:
    one = open_connection(rabbit.url, "a test")
    one.channel().queue_delete(COMMANDS)
    try:
        yield one
    finally:
        one.channel().queue_delete(COMMANDS)
        one.collect()


def reasons(connection: Any) -> list[str]:
    found = declared(connection, COMMANDS, COMMAND_ARGUMENTS)
    assert found is not None
    return list(losses(found, "3.10.8", dead_end(connection, found)))


LOSING: dict[str, tuple[dict[str, Any], str]] = {
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
    "time to live": ({"x-message-ttl": 60_000}, "drops what has waited for 60 s"),
    "length": ({**QUORUM, "x-max-length": 10}, "drops the oldest commands when it is full (x-max-length 10)"),
    "bytes": ({"x-max-length-bytes": 10}, "(x-max-length-bytes 10)"),
    "expiry": ({**QUORUM, "x-expires": 90_000}, "when no worker has run for 90 s"),
    "stream": ({"x-queue-type": "stream"}, "it is a stream"),
}
KEEPING: dict[str, dict[str, Any]] = {
    "ours": COMMAND_ARGUMENTS,
    "classic": {},
    "quorum": QUORUM,
    "a limit and letters": {**QUORUM, "x-delivery-limit": 5, "x-dead-letter-exchange": "amq.direct"},
    "letters to our queue": {
        **QUORUM,
        "x-delivery-limit": 5,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": DEAD,
    },
    "full, and says so": {"x-max-length": 10, "x-overflow": "reject-publish", "x-max-priority": 3},
}


@pytest.mark.rabbitmq_server
@pytest.mark.parametrize("name", LOSING)
def test_queues_that_lose_commands(connection: Any, rabbit: RabbitServer, name: str) -> None:
    """The one thing that is wrong is found and named, whatever else differs; a worker does not start on it,
    unless that is accepted."""
    arguments, reason = LOSING[name]
    connection.channel().queue_declare(COMMANDS, durable=True, auto_delete=False, arguments=arguments)
    (said,) = reasons(connection)
    assert reason in said
    with pytest.raises(UnfitServer, match="NUMBERGROUP_LOSSY_QUEUES") as caught:
        check(rabbit.url, Topology(), accept_losses=False)
    assert said in str(caught.value)
    check(rabbit.url, Topology(), accept_losses=True)


@pytest.mark.rabbitmq_server
@pytest.mark.parametrize(("durable", "auto_delete"), [(False, False), (True, True), (False, True)])
def test_queues_that_go_away(connection: Any, durable: bool, auto_delete: bool) -> None:
    """With the broker, or with the last consumer."""
    connection.channel().queue_declare(COMMANDS, durable=durable, auto_delete=auto_delete)
    said = " ".join(reasons(connection))
    assert ("not durable" in said, "auto_delete" in said) == (not durable, auto_delete)


@pytest.mark.rabbitmq_server
@pytest.mark.parametrize("name", KEEPING)
def test_queues_that_keep_commands(connection: Any, rabbit: RabbitServer, name: str) -> None:
    """What loses nothing is fine, however it differs from ours."""
    arguments = KEEPING[name]
    connection.channel().queue_declare(COMMANDS, durable=True, auto_delete=False, arguments=arguments)
    assert reasons(connection) == []
    check(rabbit.url, Topology(), accept_losses=False)


@pytest.mark.rabbitmq_server
def test_nothing_is_declared(connection: Any, rabbit: RabbitServer) -> None:
    """Who only looks leaves no queue behind."""
    check(rabbit.url, Topology(2), accept_losses=False)
    assert declared(connection, COMMANDS, COMMAND_ARGUMENTS) is None


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
def test_the_limit_that_is_in_force(arguments: dict[str, Any], version: str, limit: int | None) -> None:
    """RabbitMQ 4 has one where none is declared: there a quorum queue that says nothing loses commands."""
    assert delivery_limit(arguments, version) == limit
    found = list(losses(Declared(arguments=arguments), version, NOWHERE))
    assert len(found) == (limit is not None)


def test_our_own_queue_states_both() -> None:
    """A limit, and where the dead letters go: nothing is left to a default."""
    assert {"x-delivery-limit", "x-dead-letter-exchange", "x-dead-letter-routing-key"} <= set(
        COMMAND_ARGUMENTS
    )
