"""The broker that the commands talk to, and what to say when it does not answer."""

from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import is_cluster_error
from numbergroup.cli.causes import cause_of
from numbergroup.cli.error_handling import CommandError
from numbergroup.settings import Settings, SettingsError, redact_url


def broker_url(settings: Settings) -> str:
    """The configured broker, or the embedded one of a worker that runs on this machine."""
    if settings.broker_url is None:
        return f"redis://127.0.0.1:{embedded.PORT}/0"
    return settings.broker_url.get_secret_value()


def speaks_amqp(url: str) -> bool:
    return url.startswith(("amqp://", "amqps://"))


def broker_failure(settings: Settings, error: BaseException) -> CommandError:
    """What `error`, of the broker's library, of the network or of what wraps them, says to a person.

    Raises `SettingsError` when the broker is a Redis Cluster.
    """
    where = redact_url(broker_url(settings))
    if is_cluster_error(error):
        raise SettingsError(f"the broker at {where} is a Redis Cluster, which is not supported") from None
    cause = cause_of(error)
    advice = cause.advice("NUMBERGROUP_BROKER_URL")
    if cause.refused:
        return CommandError(f"the broker at {where} refuses: {cause.message}{advice}")
    if settings.broker_url is None:
        advice = ": start `numbergroup run`, or set NUMBERGROUP_BROKER_URL"
    return CommandError(f"no broker answers at {where} ({cause.message}){advice}")


def reason(error: BaseException) -> str:
    """The real cause in short."""
    return cause_of(error).message
