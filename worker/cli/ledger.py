"""The ledger that the commands talk to, and what to say when it does not answer."""

from worker.brokers import embedded
from worker.brokers.connect import is_of_cluster
from worker.cli.broker import reason, refusal, speaks_amqp
from worker.cli.endings import Failure
from worker.settings import Settings, SettingsError, redact_url


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


def ledger_failure(settings: Settings, error: BaseException) -> Failure:
    """What `error`, a `LedgerUnavailable` or what it came from, says to a person."""
    cause = error.__cause__ or error
    where = redact_url(ledger_url(settings))
    if is_of_cluster(cause):
        raise SettingsError(f"the ledger at {where} is a Redis Cluster, which is not supported") from None
    if (said := refusal(cause)) is not None:
        return Failure(f"the ledger at {where} refuses: {said}")
    if error.__cause__ is None:
        return Failure(f"the ledger at {where}: {error}")
    hint = "is it running, and is NUMBERGROUP_LEDGER_URL right?"
    if settings.ledger_url is None:
        hint = "is it running, and is NUMBERGROUP_BROKER_URL right?"
    if settings.broker_url is None:
        hint = "start `numbergroup run`, or set NUMBERGROUP_BROKER_URL"
    return Failure(f"no ledger answers at {where} ({reason(cause)}): {hint}")
