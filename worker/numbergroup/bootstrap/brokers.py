"""Connects to the broker and the ledger that the settings name."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from redis.asyncio import Redis

from numbergroup.brokers import lookalikes
from numbergroup.brokers.amqp import queue_depth
from numbergroup.brokers.amqp.broker import AmqpBroker
from numbergroup.brokers.amqp.lossy_queues import check_queues
from numbergroup.brokers.amqp.topology import Topology
from numbergroup.brokers.lookalikes import Lookalike
from numbergroup.brokers.port import Broker, BrokerUnavailable
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.broker import RedisBroker
from numbergroup.brokers.redis.connect import UnfitServer, check, connect
from numbergroup.brokers.redis.settling import ReplyRetention
from numbergroup.engine.decoding.intake import Intake
from numbergroup.observability.logging import get_logger
from numbergroup.runtime.ports import most_in_memory
from numbergroup.runtime.retrying import Retry, retry_until_available
from numbergroup.settings import Settings, SettingsError

NO_LEDGER = (
    "NUMBERGROUP_LEDGER_URL is not set: dead letters, records of settled commands, calls in doubt, groupKeys "
    "and the rate limit are in this process's memory only, and end with it; run one worker only"
)
_MIN_HEARTBEAT_S = 4

log = get_logger("worker")


async def count_backlog(broker_url: str, client: Redis, partitions: int) -> Mapping[int, int]:
    """Return the number of messages in each partition. On Redis it includes those in workers' memory.

    `client`: of the broker, if it is Redis. Raises `BrokerUnavailable`, and `UnfitServer` when the broker
    forbids the question.
    """
    if broker_url.startswith("amqp"):
        return await asyncio.to_thread(queue_depth.count_ready, broker_url, partitions)
    return await RedisBroker(client, 0, partitions).count_waiting(partitions)


async def count_strays(broker_url: str, partitions: int) -> Mapping[str, int]:
    """Return the number of messages in each queue of another number of partitions; RabbitMQ only.

    Raises like `count_backlog`.
    """
    if broker_url.startswith("amqp"):
        return await asyncio.to_thread(queue_depth.count_strays, broker_url, partitions)
    return {}


async def find_unread_queues(broker_url: str, client: Redis, partitions: int) -> Sequence[Lookalike]:
    """Return queues with a misspelt name, which no worker reads; none if the broker forbids the question."""
    if not broker_url.startswith("amqp"):
        return await lookalikes.find_on_redis(client, partitions)
    try:
        return await asyncio.to_thread(queue_depth.find_lookalikes, broker_url, partitions)
    except (BrokerUnavailable, UnfitServer):
        return []


async def connect_broker(
    settings: Settings, broker_url: str, intake: Intake, opened: AsyncExitStack, *, retry: Retry
) -> tuple[Redis, Broker]:
    """Return the ledger's client and the broker, after both have answered. `opened` closes them.

    Raises `SettingsError` when the URLs contradict each other, `UnfitServer` when a server must not be used
    as it is set up, and with `try_once` also `BrokerUnavailable` and `LedgerUnavailable`.
    """
    record_ms = round(settings.dedup_hours * 3_600_000)
    ledger_url = settings.ledger_url.get_secret_value() if settings.ledger_url else None
    if not broker_url.startswith("amqp"):
        if ledger_url and ledger_url != broker_url:
            raise SettingsError(
                "NUMBERGROUP_LEDGER_URL differs from NUMBERGROUP_BROKER_URL: on Redis, results and deletions "
                "are written in one transaction, so both must be the same server; leave "
                "NUMBERGROUP_LEDGER_URL unset"
            )
        setting = "NUMBERGROUP_BROKER_URL"
        client = await _connect(broker_url, settings.partitions, opened, setting=setting, retry=retry)
        # Rounded up, because 0 means without end.
        retention = ReplyRetention(math.ceil(settings.reply_retention_hours * 3_600_000), settings.reply_max)
        return client, RedisBroker(client, record_ms, settings.partitions, intake, retention=retention)
    if ledger_url is None:
        ledger = embedded.start()
        opened.callback(ledger.stop)
        ledger_url = ledger.url
        if retry is retry_until_available:
            log.warning(NO_LEDGER)
    setting = "NUMBERGROUP_LEDGER_URL"
    client = await _connect(ledger_url, settings.partitions, opened, setting=setting, retry=retry)
    topology = _topology(settings)
    await retry("connecting to RabbitMQ", lambda: check_rabbitmq_setup(settings, broker_url))
    heartbeat_s = max(_MIN_HEARTBEAT_S, round(settings.lease_ttl_s / 2))
    broker = AmqpBroker(
        broker_url,
        client,
        record_ms=record_ms,
        max_in_work=most_in_memory(settings.max_pending, len(settings.accounts)),
        heartbeat_s=heartbeat_s,
        topology=topology,
    )
    return client, broker


async def check_rabbitmq_setup(settings: Settings, broker_url: str) -> None:
    """Check RabbitMQ as a starting worker does. Raises `UnfitServer` and `BrokerUnavailable`."""
    accept = settings.lossy_queues == "accept"
    await asyncio.to_thread(check_queues, broker_url, _topology(settings), accept_losses=accept)


def _topology(settings: Settings) -> Topology:
    return Topology(
        settings.partitions,
        reply_type=settings.reply_queue_type,
        reply_expires_ms=round(settings.reply_queue_expires_hours * 3_600_000),
    )


async def _connect(url: str, partitions: int, opened: AsyncExitStack, *, setting: str, retry: Retry) -> Redis:
    client = connect(url, partitions)
    opened.push_async_callback(client.aclose)
    await retry("connecting to Redis", lambda: check(client, setting))
    return client
