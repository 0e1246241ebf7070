"""Why a server could not be used, in words for people: the real cause, and what would help."""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from redis import exceptions as of_redis

# AMQP 0-9-1, 1.2.4: those of its reply codes that another try would meet again.
_AMQP_REFUSALS = (403, 404, 405, 406, 530)

_OTHER_PROTOCOL = "what answers on this port speaks another protocol"
_RIGHT = "is {setting} right?"
_RUNNING = "is it running, and is {setting} right?"
_NO_TLS = "redis:// and amqp:// are for ports without TLS, rediss:// and amqps:// for those with it"

# What redis-py makes of the server's answer, of which it leaves out the code (NOAUTH, NOPERM, …).
_REDIS: tuple[tuple[type[Exception], str, str | None], ...] = (
    (of_redis.AuthenticationError, "{}", "are user and password in {setting} right?"),
    (of_redis.AuthorizationError, "{}", "are user and password in {setting} right?"),
    (of_redis.NoPermissionError, "{}", "an administrator has to permit it (ACL SETUSER)"),
    (of_redis.ReadOnlyError, "it is a read-only replica ({})", "name the primary in {setting}"),
    (of_redis.MasterDownError, "its primary is down ({})", "try again when it is back"),
    (of_redis.BusyLoadingError, "it is loading its data ({})", "try again when that is done"),
    (of_redis.OutOfMemoryError, "its memory is used up ({})", "raise its maxmemory, or free some"),
    (of_redis.MaxConnectionsError, "it has as many clients as it takes ({})", "raise its maxclients"),
)
_REDIS_TEXTS: tuple[tuple[str, str], ...] = (
    ("DB index is out of range", "is the number of the database in {setting} right?"),
    ("MISCONF", "it cannot write to its disk: see its log"),
    ("max number of clients reached", "raise its maxclients"),
)
# py-amqp's own words.
_NO_MECHANISM = "appropriate auth mechanism"
# RabbitMQ 3.10's own words.
_AMQP_TEXTS: tuple[tuple[str, str], ...] = (
    ("Login was refused", "are user and password in {setting} right?"),
    ("access to", "give the user permissions for it (rabbitmqctl set_permissions)"),
    ("vhost", "is the virtual host in {setting} right? / is written %2F, or left out with the last slash"),
)


@dataclass(slots=True, frozen=True)
class Cause:
    """`refused`: a server answered, and said no. `hint` has `{setting}` for what an operator would change."""

    message: str
    hint: str | None
    refused: bool

    def advice(self, setting: str) -> str:
        """The hint as the end of a sentence; nothing where there is none."""
        return "" if self.hint is None else f": {self.hint.format(setting=setting)}"


_LATE = Cause("no answer in time", f"is it running, and is {{setting}} right? {_NO_TLS}", refused=False)


def cause_of(error: BaseException) -> Cause:
    """What made `error`, which may be wrapped in others: the first in the chain that says something."""
    for one in _chain(error):
        found = _of_redis(one) or _of_amqp(one) or _of_network(one)
        if found is not None:
            return found
    *_, last = _chain(error)
    said = str(getattr(last, "reply_text", None) or last) or type(last).__name__
    return Cause(said, _RUNNING, refused=False)


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def _of_redis(error: BaseException) -> Cause | None:
    text = str(error).rstrip(".")
    if isinstance(error, of_redis.InvalidResponse):
        return Cause(_OTHER_PROTOCOL, _RIGHT, refused=False)
    if isinstance(error, of_redis.TimeoutError):
        return _LATE
    for kind, said, hint in _REDIS:
        if isinstance(error, kind):
            return Cause(said.format(text), hint, refused=True)
    if isinstance(error, of_redis.ResponseError | of_redis.ConnectionError):
        hint = next((hint for words, hint in _REDIS_TEXTS if words in text), None)
        if hint is not None or isinstance(error, of_redis.ResponseError):
            return Cause(text, hint, refused=True)
    return None


def _of_amqp(error: BaseException) -> Cause | None:
    if _NO_MECHANISM in str(error):
        return Cause(str(error), "name another auth_mechanism in {setting}", refused=True)
    if getattr(error, "reply_code", None) not in _AMQP_REFUSALS:
        return None
    text = str(getattr(error, "reply_text", error)).split(". For details", 1)[0]
    return Cause(text, next((hint for words, hint in _AMQP_TEXTS if words in text), None), refused=True)


def _of_network(error: BaseException) -> Cause | None:
    match error:
        case ssl.SSLCertVerificationError():
            said = f"its certificate: {error.verify_message}"
            return Cause(said, "SSL_CERT_FILE names other authorities than the system's", refused=False)
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return Cause("it does not speak TLS on this port", _NO_TLS, refused=False)
        case ssl.SSLError():
            return Cause(f"TLS: {error.reason or error}", _RIGHT, refused=False)
        case socket.gaierror():
            said = f"the name of its host cannot be resolved: {error.strerror}"
            return Cause(said, "is it spelt right in {setting}, and does DNS answer?", refused=False)
        case TimeoutError() if error.errno is None:
            return _LATE
        case OSError(errno=int() as number):
            why = error.strerror if number < 0 and error.strerror else os.strerror(number)
            return Cause(why, _RUNNING, refused=False)
    if re.search(r"Connection closed by server|Server unexpectedly closed", str(error)):
        return Cause("it closes the connection at once", f"does it want TLS? {_NO_TLS}", refused=False)
    return None
