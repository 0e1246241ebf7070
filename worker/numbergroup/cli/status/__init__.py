"""`numbergroup status`: the status of everything, from the ledger and the broker."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from redis.asyncio import Redis

from numbergroup.bootstrap import findings
from numbergroup.bootstrap.brokers import count_backlog, count_strays, find_unread_queues
from numbergroup.brokers.lookalikes import Lookalike
from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.connect import UnfitServer, connect
from numbergroup.cli.broker import broker_failure, broker_url, is_amqp_url
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.ledger import ledger_failure, ledger_url
from numbergroup.cli.output import make_console, print_json
from numbergroup.cli.status.as_json import as_json as status_as_json
from numbergroup.cli.status.formatting import format_status
from numbergroup.cli.status.status_report import StatusReport, build_status_report
from numbergroup.ledger.overview import read_overview
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.settings import Settings, load_settings

_WATCH_INTERVAL_S = 2.0


def run(*, as_json: bool, watch: bool) -> None:
    """Print the status, once or repeatedly.

    Raises `CommandError` when the ledger or the broker does not answer; for the broker only at the end, after
    the rest was printed. Raises `SettingsError` when workers have no common ledger.
    """
    settings = load_settings()
    unread_queues: Sequence[Lookalike] | None = None
    while True:
        # These are searched only once, because RabbitMQ logs each question about a queue that does not exist.
        try:
            report, failure, unread_queues = asyncio.run(_read_status(settings, unread_queues))
        except LedgerUnavailable as error:
            raise ledger_failure(settings, error) from None
        _print(report, as_json=as_json, clear=watch)
        if not watch:
            break
        time.sleep(_WATCH_INTERVAL_S)
    if failure is not None:
        raise failure


async def _read_status(
    settings: Settings, unread_queues: Sequence[Lookalike] | None
) -> tuple[StatusReport, CommandError | None, Sequence[Lookalike]]:
    """Return the report, the failure to read the backlog, and the queues that no worker reads.

    Unread queues are searched unless they are given.
    """
    client = connect(ledger_url(settings))
    try:
        overview = await read_overview(client, settings.partitions)
        backlog, strays, failure = await _read_backlog(settings, client, len(overview.owners))
        warnings = [*findings.find_in_settings(settings), *await findings.find_in_server(settings, client)]
        mistyped = await findings.find_in_keys(settings, client, len(overview.owners))
        if unread_queues is None:
            unread_queues = await find_unread_queues(broker_url(settings), client, len(overview.owners))
    finally:
        await client.aclose()
    explained = {f"{key.key} cannot be read" for key in mistyped}
    problems = [problem for problem in overview.problems if problem not in explained]
    report = build_status_report(
        replace(overview, problems=[*map(str, mistyped), *problems, *map(str, unread_queues)]),
        backlog,
        settings.max_dead_letters,
        backlog_includes_in_hand=not is_amqp_url(broker_url(settings)),
    )
    return replace(report, strays=strays, warnings=warnings), failure, unread_queues


async def _read_backlog(
    settings: Settings, client: Redis, partitions: int
) -> tuple[Mapping[int, int] | None, Mapping[str, int], CommandError | None]:
    """Return the number of messages in each partition and in stray queues, or the failure to read them."""
    url = broker_url(settings)
    try:
        return await count_backlog(url, client, partitions), await count_strays(url, partitions), None
    except (BrokerUnavailable, UnfitServer) as error:
        return None, {}, broker_failure(settings, error)


def _print(report: StatusReport, *, as_json: bool, clear: bool) -> None:
    if as_json:
        print_json(status_as_json(report))
        return
    console = make_console()
    if clear and console.is_terminal:
        console.clear()
    for line in format_status(report):
        console.print(line, soft_wrap=True)
    if clear and not console.is_terminal:
        console.print()
