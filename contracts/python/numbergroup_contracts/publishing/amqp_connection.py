"""Connects to RabbitMQ with a timeout of some seconds, and without retries: the caller retries."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from numbergroup_contracts.publishing.errors import import_optional
from numbergroup_contracts.publishing.urls import amqp_arguments, parse

_NO_LIMIT = 2**31
# Linux has it; systems without it do not need it.
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


def connect(url: str, timeout_s: float, **options: Any) -> Any:
    """Return an open `amqp.Connection` with these `options`; every read and write ends after `timeout_s`.

    Raises `OSError` if there is no answer, and `amqp.AMQPError` if the broker refuses. The certificate of
    `amqps://` is verified, name included, against the system's authorities (or `SSL_CERT_FILE`, or the URL's
    `cacertfile`). The URL's parameter `heartbeat` has no effect: no thread would send heartbeats.
    """
    kombu = import_optional("kombu", "amqp")
    # By default, py-amqp ends a connection whose peer has not read for a second, as a broker under load does.
    socket_settings = {_USER_TIMEOUT: round(timeout_s * 1000)} if _USER_TIMEOUT else {}
    arguments, transport = amqp_arguments(parse(url))
    client = kombu.Connection(
        **{"connect_timeout": min(5.0, timeout_s), **arguments},
        transport_options={"socket_settings": socket_settings, **transport, **options},
    )
    limit(client.transport, transport)
    connection = client.transport.establish_connection()
    connection.sock.settimeout(timeout_s)
    return connection


def limit(transport: Any, limits: Mapping[str, int]) -> None:
    """Make connections of kombu's `transport` keep to `channel_max` and `frame_max`, if given.

    py-amqp uses what the broker proposes, and ignores its own options. A client may choose less (AMQP 0-9-1,
    connection.tune-ok).
    """
    if not limits.keys() & {"channel_max", "frame_max"}:
        return

    class Limited(transport.Connection):  # type: ignore[misc]  # untyped
        def _on_tune(self, channel_max: int, frame_max: int, *rest: Any, **more: Any) -> Any:
            # 0 is no limit.
            channels = min(channel_max or _NO_LIMIT, limits.get("channel_max", _NO_LIMIT))
            frames = min(frame_max or _NO_LIMIT, limits.get("frame_max", _NO_LIMIT))
            return super()._on_tune(channels % _NO_LIMIT, frames % _NO_LIMIT, *rest, **more)

    transport.Connection = Limited


def disconnect(connection: Any) -> None:
    """Close the connection, if it is still open. Never raises: nothing depends on it."""
    with suppress(Exception):
        if connection.connected:
            connection.sock.settimeout(5.0)
            connection.close()
    with suppress(Exception):
        connection.collect()
