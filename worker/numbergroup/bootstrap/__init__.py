"""Builds a worker from settings. No other package builds adapters."""

import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from redis.asyncio import Redis

from numbergroup.bootstrap import findings
from numbergroup.bootstrap.accounts import build_caller
from numbergroup.bootstrap.brokers import connect_broker
from numbergroup.brokers.port import Broker
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.engine import Engine
from numbergroup.engine.partition.poison_detection import CrashPolicy
from numbergroup.engine.policy import AccountPolicy, RetryPolicy
from numbergroup.engine.settling.settlement import Settlement, SettlementBuilder
from numbergroup.ledger.control_store import RedisControlStore
from numbergroup.ledger.port import PartitionCountChanged
from numbergroup.ledger.redis import RedisLedger
from numbergroup.ledger.reports import RedisReports
from numbergroup.ledger.tokens import RedisTokens
from numbergroup.observability.logging import get_logger
from numbergroup.observability.metrics import MetricsServer, WorkerMetrics
from numbergroup.runtime.clock import Clock
from numbergroup.runtime.dead_letter_cap import DeadLetterCap
from numbergroup.runtime.partitioning import agree_on_partitions
from numbergroup.runtime.ports import Ports
from numbergroup.runtime.retrying import retry_until_available
from numbergroup.runtime.rotation import CredentialRotation
from numbergroup.runtime.routing import partition_by_handle
from numbergroup.runtime.worker import Worker, ignore_settlement
from numbergroup.settings import Settings, SettingsError, redact_url, require_accounts
from numbergroup.vendors.keyring import Keyring

_MIN_SUSPECT_S = 30.0
_CLOCK_WARNING_S = 5.0
_CALL_MARGIN_S = 2.0

log = get_logger("worker")


@asynccontextmanager
async def open_worker(
    settings: Settings,
    broker_url: str,
    on_written: Callable[[Settlement], None] = ignore_settlement,
    reload_settings: Callable[[], Settings] | None = None,
) -> AsyncIterator[Worker]:
    """Open a worker on the broker at `broker_url`, ready to `run`.

    With `reload_settings` it uses credentials that were changed in the settings' files. Waits, with log
    lines, for a broker that does not answer.

    Raises `SettingsError` when no account is configured, or the commands are in another number of partitions.
    Raises `UnfitServer` when the broker must not be used as it is set up.
    """
    accounts = require_accounts(settings)
    intake = Intake(settings.max_message_bytes, settings.number_normalizers)
    async with AsyncExitStack() as opened:
        # First, so that metrics are served while the worker waits for the broker.
        metrics = await serve_metrics(settings, opened)
        client, broker = await connect_broker(
            settings, broker_url, intake, opened, retry=retry_until_available
        )
        opened.push_async_callback(broker.close)
        await _log_findings(settings, client)
        ledger = RedisLedger(client)
        clock = await _start_clock(ledger)
        await agree_on_partitions(ledger, broker, settings.partitions)
        await retry_until_available("opening the broker", broker.open)
        limiters = {
            name: ledger.limiter(name, account.calls_per_second) for name, account in accounts.items()
        }
        keyrings = {name: Keyring(name, account.credentials) for name, account in accounts.items()}
        callers, policies = {}, {}
        for name, account in accounts.items():
            callers[name], policies[name] = build_caller(
                keyrings[name], account, limiters[name], clock, token_store=RedisTokens(client)
            )
            opened.push_async_callback(callers[name].close)
        ports = _build_ports(settings, client, broker, intake, ledger=ledger, clock=clock)
        _log_start(settings, broker_url, ports)
        worker = Worker(
            _build_engine(settings, policies),
            ports,
            callers,
            limiters,
            jitter=random.random,
            on_written=on_written,
            rotation=reload_settings and CredentialRotation(settings, reload_settings, keyrings, clock.now),
        )
        if metrics is not None:
            metrics.read_metrics = lambda: _read_metrics(worker, ports.dead_letter_cap)
        try:
            yield worker
        except PartitionCountChanged as error:
            raise SettingsError(f"NUMBERGROUP_PARTITIONS is not what it was: {error}") from None


async def _log_findings(settings: Settings, client: Redis) -> None:
    for warning in findings.find_in_settings(settings):
        log.warning(warning)
    for warning in await retry_until_available(
        "looking at the ledger's setup", lambda: findings.find_in_server(settings, client)
    ):
        log.warning(warning)
    for mistyped in await retry_until_available(
        "looking at the ledger's keys", lambda: findings.find_in_keys(settings, client, settings.partitions)
    ):
        log.error(str(mistyped))


def _log_start(settings: Settings, broker_url: str, ports: Ports) -> None:
    log.info(
        "starting",
        version=ports.version,
        broker=redact_url(broker_url),
        accounts=sorted(settings.accounts),
        owner=ports.owner,
        partitions=settings.partitions,
    )


def _build_engine(settings: Settings, policies: Mapping[str, AccountPolicy]) -> Engine:
    return Engine(
        policies,
        RetryPolicy(give_up_after_s=settings.give_up_after_s),
        settings.linger_ms / 1000,
        settings.group_backlog,
        settings.max_pending,
    )


def _build_ports(
    settings: Settings, client: Redis, broker: Broker, intake: Intake, *, ledger: RedisLedger, clock: Clock
) -> Ports:
    checks_partition = broker.is_partitioned_by_handle and settings.partitions > 1
    call_lasts_s = max(account.acceptance_window_s for account in settings.accounts.values())
    return Ports(
        broker,
        ledger,
        RedisControlStore(client),
        intake,
        SettlementBuilder(settings.reply_queues),
        clock,
        owner=f"{socket.gethostname()}-{os.getpid()}-w{secrets.token_hex(4)}",
        lease_ttl_s=settings.lease_ttl_s,
        max_pending=settings.max_pending,
        caution=CrashPolicy(settings.max_crashes, idle_s=_suspect_s(settings, call_lasts_s)),
        partitions=settings.partitions,
        accounts=len(settings.accounts),
        partition_of=partition_by_handle(settings.partitions) if checks_partition else None,
        dead_letter_cap=DeadLetterCap(settings.max_dead_letters),
        reports=RedisReports(client),
        version=version("numbergroup"),
        call_lasts_s=call_lasts_s + _CALL_MARGIN_S,
    )


async def serve_metrics(settings: Settings, opened: AsyncExitStack) -> MetricsServer | None:
    """Start the server of the metrics, which `opened` stops; `None` if there is no port for it.

    Raises `SettingsError` when it cannot listen.
    """
    if settings.metrics_port is None:
        return None
    server = MetricsServer(settings.metrics_host, settings.metrics_port)
    try:
        await server.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise SettingsError(
            f"NUMBERGROUP_METRICS_PORT is {settings.metrics_port}, but nothing can listen on "
            f"{settings.metrics_host}:{settings.metrics_port} ({reason}): set another one"
        ) from None
    opened.push_async_callback(server.stop)
    return server


def _read_metrics(worker: Worker, cap: DeadLetterCap) -> WorkerMetrics:
    report = worker.make_report()
    return WorkerMetrics(report.at, report.snapshot, report.letters_written, cap.count, cap.limit)


def _suspect_s(settings: Settings, call_lasts_s: float) -> float:
    """Return for how many seconds a suspect message is watched.

    It is longer than RabbitMQ takes to notice a crashed owner, and than a call waits for one in doubt.
    """
    return max(_MIN_SUSPECT_S, 2 * settings.lease_ttl_s, call_lasts_s + _MIN_SUSPECT_S / 6)


async def _start_clock(ledger: RedisLedger) -> Clock:
    """Return a clock that starts from the ledger's time, so that all workers can compare times.

    One worker records until when a create may take effect, and another one waits until then.
    """
    clock = Clock.starting_from(await retry_until_available("asking the ledger for the time", ledger.time_s))
    ahead_s = clock.wall() - clock.now()
    if abs(ahead_s) > _CLOCK_WARNING_S:
        log.warning(
            "this machine's clock differs from the ledger's, which is used instead", ahead_s=round(ahead_s)
        )
    return clock
