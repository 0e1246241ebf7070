"""The only place that builds adapters: settings in, a worker out."""

import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from worker import calls
from worker.brokers.connect import check, connect
from worker.brokers.redis_streams import RedisBroker
from worker.engine.accounts import AccountPolicy
from worker.engine.engine import Engine
from worker.engine.intake import Intake
from worker.engine.retry_policy import RetryPolicy
from worker.engine.settlement import Settlement, SettlementBuilder
from worker.ledger.port import OtherPartitions
from worker.ledger.redis import RedisLedger
from worker.providers.nxcloud import Codes, NXCloud
from worker.providers.port import Provider
from worker.runtime.clock import Clock
from worker.runtime.partition import Ports
from worker.runtime.partitioning import agree_on_partitions
from worker.runtime.patience import patiently
from worker.runtime.routing import by_handle
from worker.runtime.worker import Worker, nobody
from worker.settings import AccountSettings, Settings, SettingsError, redact_url, require_accounts
from worker.telemetry import get_logger

log = get_logger("worker")


@asynccontextmanager
async def open_worker(
    settings: Settings, broker_url: str, written: Callable[[Settlement], None] = nobody
) -> AsyncIterator[Worker]:
    """A worker on the Redis at `broker_url`, ready to `run`.

    Waits, loudly, for a broker that is away. Raises `SettingsError` when no account is configured, or the
    commands are in another number of partitions, `UnfitServer` when the broker must not be used as it is
    set up.
    """
    accounts = require_accounts(settings)
    if not broker_url.startswith(("redis://", "rediss://")):
        raise SettingsError("NUMBERGROUP_BROKER_URL: this version works on redis:// and rediss:// only")
    ledger_url = settings.ledger_url and settings.ledger_url.get_secret_value()
    if ledger_url and ledger_url != broker_url:
        raise SettingsError(
            "NUMBERGROUP_LEDGER_URL differs from NUMBERGROUP_BROKER_URL: on Redis, results and deletions are "
            "written in one transaction, so both must be the same server; leave NUMBERGROUP_LEDGER_URL unset"
        )
    client = connect(broker_url, settings.partitions)
    callers: dict[str, calls.Caller] = {}
    clock = Clock()
    try:
        await patiently("connecting to the broker", lambda: check(client))
        ledger = RedisLedger(client)
        limiters = {
            name: ledger.limiter(name, account.calls_per_second) for name, account in accounts.items()
        }
        callers = {}
        policies = {}
        for name, account in accounts.items():
            if account.insecure:
                log.warning("phone numbers travel unencrypted: BASE_URL is plain http", account=name)
            provider = _provider(account)
            callers[name] = calls.Caller(
                provider,
                calls.session(account.max_in_flight),
                calls.Limits(account.connect_timeout_s, account.timeout_s, account.retry_attempts),
                limiters[name].acquire,
                clock.wall,
                now_s=clock.now,
            )
            policies[name] = AccountPolicy(
                account.numbers_per_call,
                account.max_in_flight,
                provider.supports,
                marker=account.create_marker == "remark",
            )
        engine = Engine(
            policies, RetryPolicy(give_up_after_s=settings.give_up_after_s), settings.linger_ms / 1000
        )
        broker = RedisBroker(client, round(settings.dedup_hours * 3_600_000))
        await agree_on_partitions(ledger, broker, settings.partitions)
        ports = Ports(
            broker,
            ledger,
            Intake(settings.max_message_bytes),
            SettlementBuilder(settings.reply_queues),
            clock,
            owner=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
            lease_ttl_s=settings.lease_ttl_s,
            max_pending=settings.max_pending,
            partitions=settings.partitions,
            partition_of=by_handle(settings.partitions),
        )
        log.info(
            "starting",
            version=version("numbergroup"),
            broker=redact_url(broker_url),
            accounts=sorted(accounts),
            owner=ports.owner,
            partitions=settings.partitions,
        )
        yield Worker(engine, ports, callers, limiters, random.random, written)
    except OtherPartitions as error:
        raise SettingsError(f"NUMBERGROUP_PARTITIONS is not what it was: {error}") from None
    finally:
        for caller in callers.values():
            await caller.close()
        await client.aclose()


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
    )
