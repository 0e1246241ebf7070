"""Connecting to Redis, and checking that it can be trusted with the work."""

from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from contracts.publishing.urls import parse, redis_arguments
from worker.brokers.port import BrokerUnavailable
from worker.ledger.connection import quick
from worker.telemetry import get_logger

_OLDEST = (7, 0)
_CONNECTIONS = 100

log = get_logger("redis")


class UnfitServer(Exception):
    """The server answers, but must not be used as it is set up; the message says what to change."""


def connect(url: str, partitions: int = 1, retries: int = 1) -> Redis:
    """A client that gives up after seconds: who retries, and how long, is decided above it.

    One retry on a new connection: a connection that was closed while it was idle is no outage. None for who
    has to know whether a command was carried out once. Each partition reads, settles and renews its lease
    at the same time. The URL's parameters go before our own. Raises `InvalidUrl`.
    """
    address = parse(url)
    arguments: dict[str, Any] = {
        "socket_connect_timeout": 3,
        "socket_timeout": 6,
        "health_check_interval": 15,
        **redis_arguments(address),
    }
    pool = ConnectionPool.from_url(
        address.url,
        protocol=2,
        retry=Retry(NoBackoff(), retries),
        max_connections=_CONNECTIONS + 3 * partitions,
        **arguments,
    )
    # It says whether it is TCP, TLS or a Unix socket.
    pool.connection_class = quick(pool.connection_class)
    return Redis.from_pool(pool)


async def check(client: Redis, setting: str = "NUMBERGROUP_BROKER_URL") -> None:
    """Raises `UnfitServer` for a server that would lose data, `BrokerUnavailable` for one that is away.

    `setting`: what an operator would have to change.
    """
    try:
        await client.ping()
    except AuthenticationError as error:
        raise UnfitServer(f"Redis refuses the credentials in {setting} ({error})") from error
    except (RedisError, OSError) as error:
        raise BrokerUnavailable(f"{setting}: {type(error).__name__}: {error}") from error
    try:
        info = await client.info("server")
        memory = await client.config_get("maxmemory*")
    except (RedisError, OSError):
        # The embedded broker knows no INFO, and managed servers often forbid CONFIG.
        return
    version = str(info.get("redis_version", "7.0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST:
        log.warning("this server is older than what is tested", version=version, tested="7.0 and newer")
    policy = str(memory.get("maxmemory-policy", "noeviction"))
    if memory.get("maxmemory", "0") == "0" or policy == "noeviction":
        return
    if policy.startswith("allkeys"):
        raise UnfitServer(
            f"the broker may throw commands away when memory runs out (maxmemory-policy {policy}): "
            "set it to noeviction"
        )
    log.error("the broker may forget leases and settled commands: set it to noeviction", policy=policy)
