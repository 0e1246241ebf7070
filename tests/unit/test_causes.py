"""Why a server could not be used: the real cause is named, whatever libraries and we ourselves wrap it in."""

import errno
import os
import socket
import ssl

import pytest
from amqp import exceptions as of_amqp
from redis import exceptions as of_redis

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.connect import UnfitServer
from numbergroup.cli.broker import broker_failure
from numbergroup.cli.causes import find_cause
from numbergroup.settings import Settings

REFUSED = OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
NO_TLS = ssl.SSLError(1, "wrong version number")
NO_TLS.reason = "WRONG_VERSION_NUMBER"

SAID: dict[str, tuple[Exception, str, str, bool]] = {
    "nothing listens": (REFUSED, "Connection refused", "is it running", False),
    "a name without an address": (NO_NAME, "cannot be resolved", "does DNS answer", False),
    "no TLS on this port": (NO_TLS, "does not speak TLS", "rediss:// and amqps://", False),
    "no answer": (of_redis.TimeoutError("Timeout connecting to server"), "no answer in time", "TLS", False),
    "no answer from RabbitMQ": (TimeoutError("timed out"), "no answer in time", "TLS", False),
    "another protocol": (of_redis.InvalidResponse("AMQP"), "another protocol", "is S right", False),
    "hangs up": (of_redis.ConnectionError("Connection closed by server."), "closes the", "TLS", False),
    "NOAUTH": (of_redis.AuthenticationError("Authentication required."), "required", "password in S", True),
    "WRONGPASS": (
        of_redis.AuthenticationError("invalid username-password pair"),
        "invalid",
        "user and",
        True,
    ),
    "NOPERM": (
        of_redis.NoPermissionError("User u has no permissions to run the 'xadd' command"),
        "to run the 'xadd' command",
        "ACL SETUSER",
        True,
    ),
    "READONLY": (of_redis.ReadOnlyError("You can't write"), "read-only replica", "the primary in S", True),
    "LOADING": (of_redis.BusyLoadingError("Redis is loading"), "loading its data", "when that is done", True),
    "OOM": (of_redis.OutOfMemoryError("command not allowed"), "memory is used up", "maxmemory", True),
    "MISCONF": (of_redis.ResponseError("MISCONF Redis is configured"), "MISCONF", "see its log", True),
    "a database that is not there": (
        of_redis.ResponseError("DB index is out of range"),
        "out of range",
        "number of the database in S",
        True,
    ),
    "a wrong password on RabbitMQ": (
        of_amqp.AccessRefused("ACCESS_REFUSED - Login was refused using PLAIN. For details see", (0, 0), ""),
        "Login was refused",
        "user and password in S",
        True,
    ),
    "a wrong virtual host": (
        of_amqp.NotAllowed("NOT_ALLOWED - vhost nope not found", (10, 40), "Connection.open"),
        "vhost nope not found",
        "virtual host in S",
        True,
    ),
    "a virtual host without permission": (
        of_amqp.NotAllowed("NOT_ALLOWED - access to vhost 'v' refused for user 'u'", (10, 40), ""),
        "access to vhost",
        "set_permissions",
        True,
    ),
    "a way to log in that RabbitMQ does not offer": (
        of_amqp.ConnectionError("Couldn't find appropriate auth mechanism (can offer: EXTERNAL)"),
        "appropriate auth mechanism (can offer: EXTERNAL)",
        "another auth_mechanism in S",
        True,
    ),
    "a queue without permission": (
        of_amqp.AccessRefused("ACCESS_REFUSED - access to queue 'q' in vhost '/' refused", (50, 10), ""),
        "access to queue",
        "set_permissions",
        True,
    ),
}


def wrapped(error: Exception) -> list[Exception]:
    """The error itself, and as our own errors and libraries hand it on."""
    found = [error]
    for outer in (BrokerUnavailable("x"), UnfitServer("x"), of_redis.ConnectionError("Error 111 connecting")):
        try:
            try:
                raise error
            except Exception as inner:
                raise outer from inner
        except Exception as outer_error:
            found.append(outer_error)
    return found


@pytest.mark.parametrize("what", SAID)
def test_the_real_cause(what: str) -> None:
    """It is said with what would help, and whether a server answered at all."""
    error, said, hint, refused = SAID[what]
    for one in wrapped(error):
        cause = find_cause(one)
        assert said in cause.message
        assert hint in cause.advice("S")
        assert cause.refused is refused


@pytest.mark.parametrize("what", [what for what in SAID if SAID[what][3]])
def test_a_server_that_answers_runs(what: str) -> None:
    """Nobody is asked whether it is running."""
    said = str(broker_failure(Settings(broker_url="redis://127.0.0.1:1/0"), wrapped(SAID[what][0])[1]))
    assert said.startswith("the broker at redis://127.0.0.1:1/0 refuses: ")
    assert "is it running" not in said
    assert ".:" not in said
