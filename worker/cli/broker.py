"""The broker that the commands talk to, and what to say when it does not answer."""

import os
import ssl

from redis.exceptions import AuthenticationError, ResponseError

from worker.brokers import embedded
from worker.brokers.connect import is_of_cluster
from worker.cli.endings import Failure
from worker.settings import Settings, SettingsError, redact_url

# AMQP 0-9-1, 1.2.4: those of its reply codes that another try would meet again.
_REFUSALS = (403, 404, 405, 406, 530)


def broker_url(settings: Settings) -> str:
    """The configured broker, or the embedded one of a worker that runs on this machine."""
    if settings.broker_url is None:
        return f"redis://127.0.0.1:{embedded.PORT}/0"
    return settings.broker_url.get_secret_value()


def speaks_amqp(url: str) -> bool:
    return url.startswith(("amqp://", "amqps://"))


def refusal(error: BaseException) -> str | None:
    """What the broker says against us; None when it was not the broker that spoke."""
    if isinstance(error, ResponseError | AuthenticationError):
        return str(error)
    if getattr(error, "reply_code", None) in _REFUSALS:
        return str(getattr(error, "reply_text", error)).split(". For details", 1)[0]
    return None


def broker_failure(settings: Settings, error: BaseException) -> Failure:
    """What `error`, of the broker's library or of the network, says to a person.

    Raises `SettingsError` when the broker is a Redis Cluster.
    """
    where = redact_url(broker_url(settings))
    if is_of_cluster(error):
        raise SettingsError(f"the broker at {where} is a Redis Cluster, which is not supported") from None
    if (said := refusal(error)) is not None:
        return Failure(f"the broker at {where} refuses: {said}")
    hint = "is it running, and is NUMBERGROUP_BROKER_URL right?"
    if settings.broker_url is None:
        hint = "start `numbergroup run`, or set NUMBERGROUP_BROKER_URL"
    return Failure(f"no broker answers at {where} ({reason(error)}): {hint}")


def reason(error: BaseException) -> str:
    """The system's own words for it, if it came from there: the library's repeat themselves."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return str(cause.reason or cause)
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause.strerror if cause.errno < 0 and cause.strerror else os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return str(getattr(error, "reply_text", None) or error) or type(error).__name__
