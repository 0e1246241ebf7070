"""Finds the cause of a server's error, and says what the operator can do about it."""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from redis import exceptions as redis_errors

# AMQP 0-9-1, section 1.2.4: the reply codes for which another try would fail in the same way.
_AMQP_REFUSALS = (403, 404, 405, 406, 530)

_OTHER_PROTOCOL = "what answers on this port speaks another protocol"
_IS_IT_RIGHT = "is {setting} right?"
_IS_IT_RUNNING = "is it running, and is {setting} right?"
_TLS_SCHEMES = "redis:// and amqp:// are for ports without TLS, rediss:// and amqps:// for those with it"

# redis-py removes the code (NOAUTH, NOPERM, …) from the server's answer, and raises one of these instead.
_REDIS: tuple[tuple[type[Exception], str, str | None], ...] = (
    (redis_errors.AuthenticationError, "{}", "are user and password in {setting} right?"),
    (redis_errors.AuthorizationError, "{}", "are user and password in {setting} right?"),
    (redis_errors.NoPermissionError, "{}", "an administrator has to permit it (ACL SETUSER)"),
    (redis_errors.ReadOnlyError, "it is a read-only replica ({})", "name the primary in {setting}"),
    (redis_errors.MasterDownError, "its primary is down ({})", "try again when it is back"),
    (redis_errors.BusyLoadingError, "it is loading its data ({})", "try again when that is done"),
    (redis_errors.OutOfMemoryError, "its memory is used up ({})", "raise its maxmemory, or free some"),
    (redis_errors.MaxConnectionsError, "it has as many clients as it takes ({})", "raise its maxclients"),
)
_REDIS_TEXTS: tuple[tuple[str, str], ...] = (
    ("DB index is out of range", "is the number of the database in {setting} right?"),
    ("MISCONF", "it cannot write to its disk: see its log"),
    ("max number of clients reached", "raise its maxclients"),
)
# Part of a message of py-amqp.
_NO_MECHANISM = "appropriate auth mechanism"
# Parts of messages of RabbitMQ 3.10.
_AMQP_TEXTS: tuple[tuple[str, str], ...] = (
    ("Login was refused", "are user and password in {setting} right?"),
    ("access to", "give the user permissions for it (rabbitmqctl set_permissions)"),
    ("vhost", "is the virtual host in {setting} right? / is written %2F, or left out with the last slash"),
)


@dataclass(slots=True, frozen=True)
class Cause:
    """The cause of an error.

    `refused`: a server answered, and refused. `hint` has `{setting}` for the name of the setting to check.
    """

    message: str
    hint: str | None
    refused: bool

    def advice(self, setting: str) -> str:
        """Return the hint as the end of a sentence; empty if there is none."""
        return "" if self.hint is None else f": {self.hint.format(setting=setting)}"


_TIMED_OUT = Cause("no answer in time", f"{_IS_IT_RUNNING} {_TLS_SCHEMES}", refused=False)


def find_cause(error: BaseException) -> Cause:
    """Return the cause of `error`: the first error in its chain of causes that is recognised."""
    for link in _chain_of_causes(error):
        found = _redis_cause(link) or _amqp_cause(link) or _network_cause(link)
        if found is not None:
            return found
    *_, root = _chain_of_causes(error)
    message = str(getattr(root, "reply_text", None) or root) or type(root).__name__
    return Cause(message, _IS_IT_RUNNING, refused=False)


def _chain_of_causes(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _redis_cause(error: BaseException) -> Cause | None:
    text = str(error).rstrip(".")
    if isinstance(error, redis_errors.InvalidResponse):
        return Cause(_OTHER_PROTOCOL, _IS_IT_RIGHT, refused=False)
    if isinstance(error, redis_errors.TimeoutError):
        return _TIMED_OUT
    for kind, message, hint in _REDIS:
        if isinstance(error, kind):
            return Cause(message.format(text), hint, refused=True)
    if isinstance(error, redis_errors.ResponseError | redis_errors.ConnectionError):
        hint = next((hint for words, hint in _REDIS_TEXTS if words in text), None)
        if hint is not None or isinstance(error, redis_errors.ResponseError):
            return Cause(text, hint, refused=True)
    return None


def _amqp_cause(error: BaseException) -> Cause | None:
    if _NO_MECHANISM in str(error):
        return Cause(str(error), "name another auth_mechanism in {setting}", refused=True)
    if getattr(error, "reply_code", None) not in _AMQP_REFUSALS:
        return None
    text = str(getattr(error, "reply_text", error)).split(". For details", 1)[0]
    return Cause(text, next((hint for words, hint in _AMQP_TEXTS if words in text), None), refused=True)


def _network_cause(error: BaseException) -> Cause | None:
    match error:
        case ssl.SSLCertVerificationError():
            message = f"its certificate: {error.verify_message}"
            return Cause(message, "SSL_CERT_FILE names other authorities than the system's", refused=False)
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return Cause("it does not speak TLS on this port", _TLS_SCHEMES, refused=False)
        case ssl.SSLError():
            return Cause(f"TLS: {error.reason or error}", _IS_IT_RIGHT, refused=False)
        case socket.gaierror():
            message = f"the name of its host cannot be resolved: {error.strerror}"
            return Cause(message, "is it spelt right in {setting}, and does DNS answer?", refused=False)
        case TimeoutError() if error.errno is None:
            return _TIMED_OUT
        case OSError(errno=int() as number):
            why = error.strerror if number < 0 and error.strerror else os.strerror(number)
            return Cause(why, _IS_IT_RUNNING, refused=False)
    if re.search(r"Connection closed by server|Server unexpectedly closed", str(error)):
        return Cause("it closes the connection at once", f"does it want TLS? {_TLS_SCHEMES}", refused=False)
    return None
