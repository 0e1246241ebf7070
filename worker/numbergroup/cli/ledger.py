"""The ledger that the commands talk to, and what to say when it does not answer."""

from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import is_cluster_error
from numbergroup.cli.broker import speaks_amqp
from numbergroup.cli.causes import cause_of
from numbergroup.cli.error_handling import CommandError
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.settings import Settings, SettingsError, redact_url


def ledger_url(settings: Settings) -> str:
    """The configured ledger, or the embedded broker of a worker that runs on this machine.

    Raises `SettingsError` where other processes cannot reach it, or workers would not use it.
    """
    if settings.broker_url is None:
        return f"redis://127.0.0.1:{embedded.PORT}/0"
    broker = settings.broker_url.get_secret_value()
    ledger = settings.effective_ledger_url
    if ledger is None:
        raise SettingsError(
            "no NUMBERGROUP_LEDGER_URL: beside RabbitMQ, dead letters and what operators say are kept in a "
            "Redis; without one they are in the worker's memory only. Set it to what the workers have"
        )
    if not speaks_amqp(broker) and ledger.get_secret_value() != broker:
        raise SettingsError(
            "NUMBERGROUP_LEDGER_URL differs from NUMBERGROUP_BROKER_URL: on Redis both must be the same "
            "server; leave NUMBERGROUP_LEDGER_URL unset"
        )
    return ledger.get_secret_value()


def ledger_failure(settings: Settings, error: BaseException) -> CommandError:
    """What `error`, a `LedgerUnavailable` or what it came from, says to a person."""
    where = redact_url(ledger_url(settings))
    if is_cluster_error(error.__cause__ or error):
        raise SettingsError(f"the ledger at {where} is a Redis Cluster, which is not supported") from None
    if error.__cause__ is None and isinstance(error, LedgerUnavailable):
        return CommandError(f"the ledger at {where}: {error}")
    cause = cause_of(error)
    setting = "NUMBERGROUP_BROKER_URL" if settings.ledger_url is None else "NUMBERGROUP_LEDGER_URL"
    advice = cause.advice(setting)
    if cause.refused:
        return CommandError(f"the ledger at {where} refuses: {cause.message}{advice}")
    if settings.broker_url is None:
        advice = ": start `numbergroup run`, or set NUMBERGROUP_BROKER_URL"
    return CommandError(f"no ledger answers at {where} ({cause.message}){advice}")
