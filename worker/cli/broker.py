"""The broker that the commands talk to, and what to say when it does not answer."""

import os

from redis.exceptions import AuthenticationError, ResponseError

from worker.brokers import embedded
from worker.cli.endings import Failure
from worker.settings import Settings, redact_url


def broker_url(settings: Settings) -> str:
    """The configured broker, or the embedded one of a worker that runs on this machine."""
    if settings.broker_url is None:
        return f"redis://127.0.0.1:{embedded.PORT}/0"
    return settings.broker_url.get_secret_value()


def broker_failure(settings: Settings, error: BaseException) -> Failure:
    """What `error`, of Redis or of the network, says to a person."""
    where = redact_url(broker_url(settings))
    if isinstance(error, ResponseError | AuthenticationError):
        return Failure(f"the broker at {where} refuses: {error}")
    hint = "is it running, and is NUMBERGROUP_BROKER_URL right?"
    if settings.broker_url is None:
        hint = "start `numbergroup run`, or set NUMBERGROUP_BROKER_URL"
    return Failure(f"no broker answers at {where} ({_reason(error)}): {hint}")


def _reason(error: BaseException) -> str:
    """The system's own words for it, if it came from there: the library's repeat themselves."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause.strerror if cause.errno < 0 and cause.strerror else os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
