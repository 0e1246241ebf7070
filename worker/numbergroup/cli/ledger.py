"""The ledger that commands connect to, and the error for one that does not answer."""

from numbergroup.brokers.redis.connect import is_cluster_error
from numbergroup.cli.broker import broker_url, cluster_is_unsupported, is_amqp_url, server_failure
from numbergroup.cli.error_handling import CommandError
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.settings import Settings, SettingsError, redact_url


def ledger_url(settings: Settings) -> str:
    """Return the URL of the configured ledger, or of the embedded one of a worker on this machine.

    Raises `SettingsError` when other processes cannot reach the ledger, or workers would not use it.
    """
    broker, ledger = broker_url(settings), settings.effective_ledger_url
    if settings.broker_url is None:
        return broker
    if ledger is None:
        raise SettingsError(
            "NUMBERGROUP_LEDGER_URL is not set: with RabbitMQ, dead letters, pauses and the workers' status "
            "are in a Redis; without one, other processes cannot reach them. Set it, for the workers as well"
        )
    if not is_amqp_url(broker) and ledger.get_secret_value() != broker:
        raise SettingsError(
            "NUMBERGROUP_LEDGER_URL differs from NUMBERGROUP_BROKER_URL: on Redis both must be the same "
            "server; leave NUMBERGROUP_LEDGER_URL unset"
        )
    return ledger.get_secret_value()


def ledger_failure(settings: Settings, error: BaseException) -> CommandError:
    """Return the error for a ledger that failed with `error`: a `LedgerUnavailable` or its cause.

    Raises `SettingsError` when the ledger is a Redis Cluster.
    """
    url = ledger_url(settings)
    if is_cluster_error(error.__cause__ or error):
        raise cluster_is_unsupported("ledger", url) from None
    if error.__cause__ is None and isinstance(error, LedgerUnavailable):
        return CommandError(f"the ledger at {redact_url(url)}: {error}")
    setting = "NUMBERGROUP_BROKER_URL" if settings.ledger_url is None else "NUMBERGROUP_LEDGER_URL"
    return server_failure(settings, error, "ledger", url, setting=setting)
