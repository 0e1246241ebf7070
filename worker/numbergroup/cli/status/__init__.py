"""`numbergroup status`: how everything stands, from what the ledger and the broker know."""

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
from numbergroup.cli.broker import broker_failure, broker_url, speaks_amqp
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.ledger import ledger_failure, ledger_url
from numbergroup.cli.screen import print_json, screen
from numbergroup.cli.status.as_json import as_json
from numbergroup.cli.status.formatting import format_status
from numbergroup.cli.status.status_report import StatusReport, build_status_report
from numbergroup.ledger.overview import read_overview
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.settings import Settings, SettingsError, load_settings

_EVERY_S = 2.0

Looked = tuple[StatusReport, CommandError | None, Sequence[Lookalike]]


def run(program: bool, watch: bool) -> None:
    """Print it, once or again and again.

    Raises `Failure` when the ledger does not answer, or, having printed the rest, the broker; `SettingsError`
    where no other process can look in.
    """
    settings = load_settings()
    if settings.broker_url is not None and settings.effective_ledger_url is None:
        raise SettingsError(
            "no NUMBERGROUP_LEDGER_URL: beside RabbitMQ, workers say in a Redis how they stand; without one "
            "it is in the worker's memory only. Set it, for the workers, too; or see NUMBERGROUP_METRICS_PORT"
        )
    unread: Sequence[Lookalike] | None = None
    while True:
        # They are looked for once: RabbitMQ logs each question about a queue that is not there.
        found, failure, unread = _found(settings, unread)
        _print(found, program, clear=watch)
        if not watch:
            break
        time.sleep(_EVERY_S)
    if failure is not None:
        raise failure


def _found(settings: Settings, unread: Sequence[Lookalike] | None) -> Looked:
    """How it stands; why the broker does not say what waits in it, where that is so; what no worker reads,
    which is looked for when it is not given."""
    try:
        return asyncio.run(_look(settings, unread))
    except LedgerUnavailable as error:
        raise ledger_failure(settings, error) from None


async def _look(settings: Settings, unread: Sequence[Lookalike] | None) -> Looked:
    client = connect(ledger_url(settings))
    try:
        overview = await read_overview(client, settings.partitions)
        waiting, elsewhere, failure = await _backlog(settings, client, len(overview.owners))
        warnings = [*findings.find_in_settings(settings), *await findings.find_in_server(settings, client)]
        mistyped = await findings.find_in_keys(settings, client, len(overview.owners))
        if unread is None:
            unread = await find_unread_queues(broker_url(settings), client, len(overview.owners))
    finally:
        await client.aclose()
    in_hand_counts = not speaks_amqp(broker_url(settings))
    named = {f"{one.key} cannot be read" for one in mistyped}
    others = [one for one in overview.problems if one not in named]
    overview = replace(overview, problems=[*map(str, mistyped), *others, *map(str, unread)])
    found = build_status_report(overview, waiting, settings.max_dead_letters, in_hand_counts=in_hand_counts)
    return replace(found, strays=elsewhere, warnings=warnings), failure, unread


async def _backlog(
    settings: Settings, client: Redis, partitions: int
) -> tuple[Mapping[int, int] | None, Mapping[str, int], CommandError | None]:
    """What waits in each partition, and in queues of no partition."""
    url = broker_url(settings)
    try:
        return await count_backlog(url, client, partitions), await count_strays(url, partitions), None
    except (BrokerUnavailable, UnfitServer) as error:
        return None, {}, broker_failure(settings, error)


def _print(found: StatusReport, program: bool, *, clear: bool) -> None:
    if program:
        print_json(as_json(found))
        return
    console = screen()
    if clear and console.is_terminal:
        console.clear()
    for line in format_status(found):
        console.print(line, soft_wrap=True)
    if clear and not console.is_terminal:
        console.print()
