"""Checks, for `run --check`, everything that would keep a worker from working, and reports all problems."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from numbergroup.bootstrap import findings, open_caller, serve_metrics
from numbergroup.bootstrap.brokers import check_rabbitmq_setup, connect_broker
from numbergroup.bootstrap.vendor_advice import suggest_settings
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import UnfitServer
from numbergroup.engine.commands import AccountFault, Applied, Call, CallKind, CommandKind, Outcome
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
    """`problems` keep a worker from working. `answering`: accounts whose vendor has answered. `refused`, and
    `silent`: what is wrong with the credentials of an account, and whose vendor has not answered."""

    problems: list[Problem] = field(default_factory=list)
    refused_accounts: list[str] = field(default_factory=list)
    silent_accounts: list[str] = field(default_factory=list)
    answering_accounts: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


async def examine(settings: Settings, broker_url: str | None) -> Examination:
    """Look at broker, ledger and vendors. Changes nothing but one key, which it deletes.

    Vendors are asked only when the servers are fine: calls count against the limits that the ledger keeps.
    Without a broker (the worker will start one), only at what the worker has to listen on.
    """
    found = Examination(findings=list(findings.find_in_settings(settings)))
    if broker_url is None:
        _look_at_embedded(found)
    else:
        await _look_at_servers_and_vendors(settings, broker_url, found)
    await _look_at_metrics(settings, found)
    return found


def _look_at_embedded(found: Examination) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", embedded.PORT)) == 0:
            found.findings.append(
                f"the embedded broker's address, 127.0.0.1:{embedded.PORT}, is taken: if not by a worker "
                "that runs already, stop what listens there"
            )


async def _look_at_metrics(settings: Settings, found: Examination) -> None:
    """Whether a worker could listen for Prometheus: the port may be that of a worker that runs."""
    async with AsyncExitStack() as opened:
        try:
            await serve_metrics(settings, opened)
        except SettingsError as error:
            host, port = settings.metrics_host, settings.metrics_port
            if port is not None and await is_served(host, port):
                found.findings.append(
                    f"NUMBERGROUP_METRICS_PORT: a numbergroup worker serves its metrics on {host}:{port}; a "
                    "second one on this machine needs another port"
                )
            else:
                found.problems.append(error)


async def _look_at_servers_and_vendors(settings: Settings, broker_url: str, found: Examination) -> None:
    await _look_at_servers(settings, broker_url, found)
    if not found.problems:
        ledger = settings.effective_ledger_url
        url = ledger.get_secret_value() if ledger else None
        await asyncio.gather(*(_ask(settings, name, url, found) for name in sorted(settings.accounts)))


async def _look_at_servers(settings: Settings, broker_url: str, found: Examination) -> None:
    async with AsyncExitStack() as opened:
        try:
            client, broker = await connect_broker(settings, broker_url, Intake(), opened, try_once)
            opened.push_async_callback(broker.close)
            found.findings += await findings.find_in_server(settings, client)
            if mistyped := await findings.find_in_keys(settings, client, settings.partitions):
                raise UnfitServer(*map(str, mistyped))
            await refuse_if_backlog(RedisLedger(client), broker, settings.partitions)
        except _PROBLEMS as error:
            found.problems.append(error)
            if broker_url.startswith("amqp") and _is_of_ledger(error):
                try:
                    await check_rabbitmq_setup(settings, broker_url)
                except _PROBLEMS as another:
                    found.problems.append(another)


def _is_of_ledger(error: BaseException) -> bool:
    return isinstance(error, LedgerUnavailable) or "NUMBERGROUP_LEDGER_URL" in str(error)


async def _ask(settings: Settings, name: str, ledger_url: str | None, found: Examination) -> None:
    """One look at the vendor's list of groups, where it has one: every other call would change something."""
    if CommandKind.LIST not in settings.accounts[name].vendor().capabilities.commands:
        return
    try:
        async with open_caller(settings, name, ledger_url) as (caller, limiter):
            await limiter.acquire()
            ended = await caller.run(Call(CallKind.LIST, limit=1, offset=0), _Unleased(), _unrecorded)
    except LedgerUnavailable as error:
        found.problems.append(error)
        return
    _note(found, name, ended.outcome, suggest_settings(settings, name, ended.outcome))


def _note(found: Examination, name: str, outcome: Outcome, hint: str) -> None:
    why = f"{getattr(outcome, 'message', None) or outcome}{hint}"
    match outcome:
        case Applied():
            found.answering_accounts.append(name)
        case AccountFault(code, _):
            found.refused_accounts.append(f"the vendor refuses the account {name} ({code}): {why}")
        case _:
            found.silent_accounts.append(f"the vendor of account {name} does not answer as it should: {why}")


class _Unleased:
    """Stands in for the lease: a call that only reads needs none."""

    async def outlives(self, _: float) -> bool:
        return True


async def _unrecorded(_: float) -> bool:
    return True


def list_problems(error: Problem) -> Sequence[str]:
    """Return the error's problems, one text each."""
    return error.problems if isinstance(error, UnfitServer) else [str(error)]
