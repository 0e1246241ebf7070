"""Checks everything that could keep a worker from working, for `run --check`, and reports all problems."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from numbergroup.bootstrap import findings, serve_metrics
from numbergroup.bootstrap.brokers import check_rabbitmq_setup, connect_broker
from numbergroup.bootstrap.vendor_advice import suggest_settings
from numbergroup.bootstrap.vendor_calls import make_read_call
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import UnfitServer
from numbergroup.engine.calls import AccountFault, Applied, Call, CallKind
from numbergroup.engine.commands import CommandKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.ledger.redis import RedisLedger
from numbergroup.observability.metrics import is_served
from numbergroup.runtime.partitioning import refuse_if_backlog
from numbergroup.runtime.retrying import try_once
from numbergroup.settings import Settings, SettingsError

Problem = UnfitServer | SettingsError | BrokerUnavailable | LedgerUnavailable
_PROBLEMS = (UnfitServer, SettingsError, BrokerUnavailable, LedgerUnavailable)


@dataclass(slots=True)
class Examination:
    """The result of a check.

    - `problems`: what keeps a worker from working.
    - `refused_accounts`: for each account that its vendor refuses, a message.
    - `silent_accounts`: for each account whose vendor does not answer, a message.
    - `answering_accounts`: the names of accounts whose vendor has answered.
    - `findings`: warnings.
    """

    problems: list[Problem] = field(default_factory=list)
    refused_accounts: list[str] = field(default_factory=list)
    silent_accounts: list[str] = field(default_factory=list)
    answering_accounts: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


async def examine(settings: Settings, broker_url: str | None) -> Examination:
    """Check broker, ledger and vendors. It changes nothing but one key, which it deletes.

    The vendors are called only if the servers are fine, because the ledger has the rate limits. Without a
    broker (the worker will start an embedded one), only the ports to listen on are checked.
    """
    examination = Examination(findings=list(findings.find_in_settings(settings)))
    if broker_url is None:
        _check_embedded_port(examination)
    else:
        await _check_servers(settings, broker_url, examination)
        if not examination.problems:
            ledger = settings.effective_ledger_url
            ledger_url = ledger.get_secret_value() if ledger else None
            await asyncio.gather(
                *(
                    _check_vendor(settings, name, ledger_url, examination)
                    for name in sorted(settings.accounts)
                )
            )
    await _check_metrics_port(settings, examination)
    return examination


def _check_embedded_port(examination: Examination) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", embedded.PORT)) == 0:
            examination.findings.append(
                f"the embedded broker's address, 127.0.0.1:{embedded.PORT}, is in use: unless a worker is "
                "running, stop what listens there"
            )


async def _check_metrics_port(settings: Settings, examination: Examination) -> None:
    """Check that a worker can listen for Prometheus; a running worker may use the port."""
    async with AsyncExitStack() as opened:
        try:
            await serve_metrics(settings, opened)
        except SettingsError as error:
            host, port = settings.metrics_host, settings.metrics_port
            if port is not None and await is_served(host, port):
                examination.findings.append(
                    f"NUMBERGROUP_METRICS_PORT: a numbergroup worker serves its metrics on {host}:{port}; a "
                    "second one on this machine needs another port"
                )
            else:
                examination.problems.append(error)


async def _check_servers(settings: Settings, broker_url: str, examination: Examination) -> None:
    async with AsyncExitStack() as opened:
        try:
            client, broker = await connect_broker(settings, broker_url, Intake(), opened, retry=try_once)
            opened.push_async_callback(broker.close)
            examination.findings += await findings.find_in_server(settings, client)
            if mistyped := await findings.find_in_keys(settings, client, settings.partitions):
                raise UnfitServer(*map(str, mistyped))
            await refuse_if_backlog(RedisLedger(client), broker, settings.partitions)
        except _PROBLEMS as error:
            examination.problems.append(error)
            if broker_url.startswith("amqp") and _is_of_ledger(error):
                try:
                    await check_rabbitmq_setup(settings, broker_url)
                except _PROBLEMS as another:
                    examination.problems.append(another)


def _is_of_ledger(error: BaseException) -> bool:
    return isinstance(error, LedgerUnavailable) or "NUMBERGROUP_LEDGER_URL" in str(error)


async def _check_vendor(
    settings: Settings, name: str, ledger_url: str | None, examination: Examination
) -> None:
    """Read a page of the vendor's list of groups. Without a list there is no call that changes nothing."""
    if CommandKind.LIST not in settings.accounts[name].create_provider().capabilities.commands:
        return
    try:
        outcome = await make_read_call(settings, name, ledger_url, Call(CallKind.LIST, limit=1, offset=0))
    except LedgerUnavailable as error:
        examination.problems.append(error)
        return
    message = f"{getattr(outcome, 'message', None) or outcome}{suggest_settings(settings, name, outcome)}"
    match outcome:
        case Applied():
            examination.answering_accounts.append(name)
        case AccountFault(code, _):
            examination.refused_accounts.append(f"the vendor refuses the account {name} ({code}): {message}")
        case _:
            examination.silent_accounts.append(
                f"the vendor of account {name} does not answer as it should: {message}"
            )


def list_problems(error: Problem) -> Sequence[str]:
    """Return the error's problems, one text each."""
    return error.problems if isinstance(error, UnfitServer) else [str(error)]
