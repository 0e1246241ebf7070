"""The only place that builds adapters: settings in, a worker out."""

import asyncio
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from redis.asyncio import Redis

from worker import calls
from worker.brokers import embedded
from worker.brokers.amqp.broker import AmqpBroker
from worker.brokers.amqp.broker import check as check_rabbitmq
from worker.brokers.amqp.topology import Topology
from worker.brokers.connect import check, connect
from worker.brokers.port import Broker
from worker.brokers.redis_streams import RedisBroker
from worker.engine.accounts import AccountPolicy
from worker.engine.engine import Engine
from worker.engine.intake import Intake
from worker.engine.probation import Caution
from worker.engine.retry_policy import RetryPolicy
from worker.engine.settlement import Settlement, SettlementBuilder
from worker.ledger.port import Limiter, OtherPartitions
from worker.ledger.redis import RedisLedger
from worker.providers.nxcloud import Codes, NXCloud
from worker.providers.port import Provider
from worker.runtime.clock import Clock
from worker.runtime.partition import Ports
from worker.runtime.partitioning import agree_on_partitions, refuse_a_backlog
from worker.runtime.patience import Persistence, once, patiently
from worker.runtime.routing import by_handle
from worker.runtime.worker import Worker, nobody
from worker.settings import AccountSettings, Settings, SettingsError, redact_url, require_accounts
from worker.telemetry import get_logger
from worker.transport import HttpTransport

NO_LEDGER = (
    "no NUMBERGROUP_LEDGER_URL: dead letters, what was settled before (for repeats), open creates, groupKeys "
    "and the rate limit are kept in this process only and end with it; run one worker only"
)
_LEAST_HEARTBEAT_S = 4
_PATIENCE_S = 30.0
_NOTABLE_S = 5.0

log = get_logger("worker")


@asynccontextmanager
async def open_worker(
    settings: Settings, broker_url: str, written: Callable[[Settlement], None] = nobody
) -> AsyncIterator[Worker]:
    """A worker on the broker at `broker_url`, ready to `run`.

    Waits, loudly, for a broker that is away. Raises `SettingsError` when no account is configured, or the
    commands are in another number of partitions, `UnfitServer` when the broker must not be used as it is
    set up.
    """
    accounts = require_accounts(settings)
    intake = Intake(settings.max_message_bytes)
    async with AsyncExitStack() as opened:
        client, broker = await _reach_broker(settings, broker_url, intake, opened, patiently)
        ledger = RedisLedger(client)
        opened.push_async_callback(broker.close)
        clock = await _common_clock(ledger)
        await agree_on_partitions(ledger, broker, settings.partitions)
        await patiently("opening the broker", broker.open)
        limiters = {
            name: ledger.limiter(name, account.calls_per_second) for name, account in accounts.items()
        }
        callers, policies = {}, {}
        for name, account in accounts.items():
            callers[name], policies[name] = _account(name, account, limiters[name], clock)
            opened.push_async_callback(callers[name].close)
        engine = Engine(
            policies, RetryPolicy(give_up_after_s=settings.give_up_after_s), settings.linger_ms / 1000
        )
        ports = Ports(
            broker,
            ledger,
            intake,
            SettlementBuilder(settings.reply_queues),
            clock,
            owner=f"{socket.gethostname()}-{os.getpid()}-w{secrets.token_hex(4)}",
            lease_ttl_s=settings.lease_ttl_s,
            max_pending=settings.max_pending,
            caution=Caution(settings.max_crashes, patience_s=_patience(settings)),
            partitions=settings.partitions,
            partition_of=by_handle(settings.partitions) if broker.by_handle else None,
        )
        log.info(
            "starting",
            version=version("numbergroup"),
            broker=redact_url(broker_url),
            accounts=sorted(accounts),
            owner=ports.owner,
            partitions=settings.partitions,
        )
        try:
            yield Worker(engine, ports, callers, limiters, random.random, written)
        except OtherPartitions as error:
            raise SettingsError(f"NUMBERGROUP_PARTITIONS is not what it was: {error}") from None


def _patience(settings: Settings) -> float:
    """How long a message that may kill is watched; longer than RabbitMQ may take to miss a dead owner, and
    than its call may have to wait for one in doubt."""
    lasts_s = max(account.signature_lasts_s for account in settings.accounts.values())
    return max(_PATIENCE_S, 2 * settings.lease_ttl_s, lasts_s + _PATIENCE_S / 6)


async def _common_clock(ledger: RedisLedger) -> Clock:
    """One clock for all workers, whatever their machines' clocks say: what one of them has written down with
    a time (until when a create may take effect) another one goes by."""
    clock = Clock.showing(await patiently("asking the ledger for the time", ledger.time_s))
    ahead_s = clock.wall() - clock.now()
    if abs(ahead_s) > _NOTABLE_S:
        log.warning("this machine's clock is not the ledger's, and is not gone by", ahead_s=round(ahead_s))
    return clock


async def examine(settings: Settings, broker_url: str) -> None:
    """Raises what would keep a worker from starting: see `open_worker`; and `BrokerUnavailable` at once."""
    async with AsyncExitStack() as opened:
        client, broker = await _reach_broker(settings, broker_url, Intake(), opened, once)
        opened.push_async_callback(broker.close)
        await refuse_a_backlog(RedisLedger(client), broker, settings.partitions)


async def _reach_broker(
    settings: Settings, broker_url: str, intake: Intake, opened: AsyncExitStack, persist: Persistence
) -> tuple[Redis, Broker]:
    """The ledger's server and the broker, both of which have answered; `opened` closes what was opened."""
    record_ms = round(settings.dedup_hours * 3_600_000)
    ledger_url = settings.ledger_url.get_secret_value() if settings.ledger_url else None
    if not broker_url.startswith("amqp"):
        if ledger_url and ledger_url != broker_url:
            raise SettingsError(
                "NUMBERGROUP_LEDGER_URL differs from NUMBERGROUP_BROKER_URL: on Redis, results and deletions "
                "are written in one transaction, so both must be the same server; leave "
                "NUMBERGROUP_LEDGER_URL unset"
            )
        client = await _connect(broker_url, "NUMBERGROUP_BROKER_URL", settings.partitions, opened, persist)
        return client, RedisBroker(client, record_ms, settings.partitions, intake)
    if ledger_url is None:
        ledger = embedded.start()
        opened.callback(ledger.stop)
        ledger_url = ledger.url
        if persist is patiently:
            log.warning(NO_LEDGER)
    client = await _connect(ledger_url, "NUMBERGROUP_LEDGER_URL", settings.partitions, opened, persist)
    await persist("connecting to RabbitMQ", lambda: asyncio.to_thread(check_rabbitmq, broker_url))
    heartbeat_s = max(_LEAST_HEARTBEAT_S, round(settings.lease_ttl_s / 2))
    topology = Topology(settings.partitions)
    broker = AmqpBroker(broker_url, client, record_ms, settings.max_pending, heartbeat_s, topology)
    return client, broker


async def _connect(
    url: str, setting: str, partitions: int, opened: AsyncExitStack, persist: Persistence
) -> Redis:
    client = connect(url, partitions)
    opened.push_async_callback(client.aclose)
    await persist("connecting to Redis", lambda: check(client, setting))
    return client


def _account(
    name: str, account: AccountSettings, limiter: Limiter, clock: Clock
) -> tuple[calls.Caller, AccountPolicy]:
    """Who makes the account's calls, and under which limits."""
    if account.insecure:
        log.warning("phone numbers travel unencrypted: BASE_URL is plain http", account=name)
    provider = _provider(account)
    caller = calls.Caller(
        provider,
        HttpTransport(account.max_in_flight, account.connect_timeout_s, account.timeout_s),
        calls.Limits(account.connect_timeout_s, account.timeout_s, account.retry_attempts),
        limiter.acquire,
        clock.wall,
        now_s=clock.now,
    )
    policy = AccountPolicy(
        account.numbers_per_call,
        account.max_in_flight,
        provider.supports,
        marker=account.create_marker == "remark",
    )
    return caller, policy


def _provider(account: AccountSettings) -> Provider:
    codes = Codes(
        account.retryable_codes, account.account_fault_codes, account.permanent_codes, account.throttle_texts
    )
    return NXCloud(
        account.base_url,
        account.access_key,
        account.access_secret.get_secret_value,
        account.algorithm,
        codes,
        acceptance_window_s=account.signature_lasts_s,
    )
