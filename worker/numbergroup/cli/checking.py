"""`numbergroup run --check`."""

import asyncio

from numbergroup.bootstrap.brokers import NO_LEDGER
from numbergroup.bootstrap.examination import Examination, examine, list_problems
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.connect import ServerNotReady, UnfitServer
from numbergroup.cli.broker import broker_failure, broker_url, is_amqp_url
from numbergroup.cli.causes import find_cause
from numbergroup.cli.error_handling import CommandError
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.observability import logging
from numbergroup.settings import Settings, SettingsError, load_settings, redact_url, require_accounts


def check_setup() -> str:
    """Check everything that a worker with these settings needs. Return a summary, and warnings.

    Raises `SettingsError` for what the operator has to correct, and `CommandError` when a server does not
    answer. Either has all problems, one a line.
    """
    try:
        settings = load_settings()
        require_accounts(settings)
    except SettingsError as error:
        raise SettingsError(*_with_heading([str(error), *error.others])) from None
    logging.configure(settings.log_format, "error")
    url = None if settings.broker_url is None else broker_url(settings)
    examination = asyncio.run(examine(settings, url))
    _raise_problems(settings, examination)
    warnings = [f"warning: {finding}" for finding in examination.findings]
    return "\n".join([_summarize(settings, url, examination), *warnings])


def _raise_problems(settings: Settings, examination: Examination) -> None:
    mistakes = [*examination.refused_accounts]
    outages = [*examination.silent_accounts]
    for problem in examination.problems:
        if isinstance(problem, UnfitServer | SettingsError | ServerNotReady):
            mistakes += list_problems(problem)
        else:
            outages.append(str(_describe_outage(settings, problem)))
    lines = _with_heading([*mistakes, *outages])
    if mistakes:
        raise SettingsError(*lines)
    if outages:
        raise CommandError("\n".join(lines))


def _with_heading(problems: list[str]) -> list[str]:
    return problems if len(problems) < 2 else [f"{len(problems)} problems:", *problems]


def _describe_outage(settings: Settings, error: BrokerUnavailable | LedgerUnavailable) -> CommandError:
    ledger = settings.ledger_url and redact_url(settings.ledger_url.get_secret_value())
    is_of_ledger = isinstance(error, LedgerUnavailable) or str(error).startswith("NUMBERGROUP_LEDGER_URL")
    if ledger and is_of_ledger:
        return CommandError(
            f"no ledger answers at {ledger} ({find_cause(error).message}): is it running, and is "
            "NUMBERGROUP_LEDGER_URL right?"
        )
    return broker_failure(settings, error)


def _summarize(settings: Settings, url: str | None, examination: Examination) -> str:
    text = f"settings are fine: accounts {', '.join(sorted(settings.accounts))}; "
    if url is None:
        return f"{text}NUMBERGROUP_BROKER_URL is not set: an embedded broker will be used"
    text += f"the broker at {redact_url(url)} answers"
    if is_amqp_url(url):
        ledger = settings.ledger_url
        text += (
            f"; {NO_LEDGER}"
            if ledger is None
            else f", and so does the ledger at {redact_url(ledger.get_secret_value())}"
        )
    if examination.answering_accounts:
        text += f"; the vendor answers for {', '.join(sorted(examination.answering_accounts))}"
    return text
