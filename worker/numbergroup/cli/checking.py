"""`numbergroup run --check`."""

import asyncio

from numbergroup.bootstrap.brokers import NO_LEDGER
from numbergroup.bootstrap.examination import Examination, examine, list_problems
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.connect import ServerNotReady, UnfitServer
from numbergroup.cli.broker import broker_failure, broker_url, reason, speaks_amqp
from numbergroup.cli.error_handling import CommandError
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability import logging
from numbergroup.settings import Settings, SettingsError, load_settings, redact_url, require_accounts


def check() -> str:
    """What a worker with these settings would work with, and what to look at.

    Raises `SettingsError` like `run`, and `Failure` when a server does not answer: with all problems in it,
    each on a line of its own.
    """
    try:
        settings = load_settings()
        require_accounts(settings)
    except SettingsError as mistakes:
        raise SettingsError(*_listed([str(mistakes), *mistakes.others])) from None
    logging.configure(settings.log_format, "error")
    url = None if settings.broker_url is None else broker_url(settings)
    found = asyncio.run(examine(settings, url))
    _raise_problems(settings, found)
    return "\n".join([_summary(settings, url, found), *(f"warning: {one}" for one in found.findings)])


def _raise_problems(settings: Settings, found: Examination) -> None:
    wrong = [*found.refused_accounts]
    away = [*found.silent_accounts]
    for error in found.problems:
        if isinstance(error, UnfitServer | SettingsError | ServerNotReady):
            wrong += list_problems(error)
        else:
            away.append(str(_unavailable(settings, error)))
    lines = _listed([*wrong, *away])
    if wrong:
        raise SettingsError(*lines)
    if away:
        raise CommandError("\n".join(lines))


def _listed(problems: list[str]) -> list[str]:
    return problems if len(problems) < 2 else [f"{len(problems)} problems:", *problems]


def _unavailable(settings: Settings, error: BrokerUnavailable | LedgerUnavailable) -> CommandError:
    ledger = settings.ledger_url and redact_url(settings.ledger_url.get_secret_value())
    of_ledger = isinstance(error, LedgerUnavailable) or str(error).startswith("NUMBERGROUP_LEDGER_URL")
    if ledger and of_ledger:
        return CommandError(
            f"no ledger answers at {ledger} ({reason(error)}): is it running, and is "
            "NUMBERGROUP_LEDGER_URL right?"
        )
    return broker_failure(settings, error)


def _summary(settings: Settings, url: str | None, found: Examination) -> str:
    text = f"settings are fine: accounts {', '.join(sorted(settings.accounts))}; "
    if url is None:
        return f"{text}no broker is set, so that an embedded one will be used"
    text += f"the broker at {redact_url(url)} answers"
    if speaks_amqp(url):
        ledger = settings.ledger_url
        text += (
            f"; {NO_LEDGER}"
            if ledger is None
            else f", and so does the ledger at {redact_url(ledger.get_secret_value())}"
        )
    if found.answering_accounts:
        text += f"; the vendor answers for {', '.join(sorted(found.answering_accounts))}"
    return text
