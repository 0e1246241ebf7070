"""The broker that commands connect to, and the error for one that does not answer."""

from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import is_cluster_error
from numbergroup.cli.causes import find_cause
from numbergroup.cli.error_handling import CommandError
from numbergroup.settings import Settings, SettingsError, redact_url


def broker_url(settings: Settings) -> str:
    """Return the URL of the configured broker, or of the embedded one of a worker on this machine."""
    if settings.broker_url is None:
        return f"redis://127.0.0.1:{embedded.PORT}/0"
    return settings.broker_url.get_secret_value()


def is_amqp_url(url: str) -> bool:
    """Return whether the broker at `url` speaks AMQP."""
    return url.startswith(("amqp://", "amqps://"))


def broker_failure(settings: Settings, error: BaseException) -> CommandError:
    """Return the error for a broker that failed with `error`.

    Raises `SettingsError` when the broker is a Redis Cluster.
    """
    url = broker_url(settings)
    if is_cluster_error(error):
        raise cluster_is_unsupported("broker", url) from None
    return server_failure(settings, error, "broker", url, setting="NUMBERGROUP_BROKER_URL")


def cluster_is_unsupported(server: str, url: str) -> SettingsError:
    """Return the error for a `server` ("broker" or "ledger") that is a Redis Cluster."""
    return SettingsError(f"the {server} at {redact_url(url)} is a Redis Cluster, which is not supported")


def server_failure(
    settings: Settings, error: BaseException, server: str, url: str, *, setting: str
) -> CommandError:
    """Return the error for a `server` ("broker" or "ledger") that failed with `error`.

    `setting`: the name of the setting that has the server's `url`.
    """
    where, cause = redact_url(url), find_cause(error)
    advice = cause.advice(setting)
    if cause.refused:
        return CommandError(f"the {server} at {where} refuses: {cause.message}{advice}")
    if settings.broker_url is None:
        advice = ": start `numbergroup run`, or set NUMBERGROUP_BROKER_URL"
    return CommandError(f"no {server} answers at {where} ({cause.message}){advice}")
