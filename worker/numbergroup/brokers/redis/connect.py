"""Connecting to Redis, and checking that it can be trusted with the work."""

from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from numbergroup.brokers.port import BrokerUnavailable
from numbergroup.brokers.redis.permissions import PATTERNS, ReadOnly, check_writable, find_missing_permissions
from numbergroup.brokers.redis.server_facts import ServerFacts, read_server_facts
from numbergroup.ledger.connection import fast_connection_class
from numbergroup.ledger.scripts import register_text
from numbergroup_contracts.publishing.urls import parse, redis_arguments

_CONNECTIONS = 100
_OF_CLUSTER = (MovedError, AskError, ClusterCrossSlotError, ClusterDownError)
# Redis's own words.
_CLUSTER_TEXTS = ("MOVED ", "CROSSSLOT ", "CLUSTERDOWN ", "SELECT is not allowed in cluster mode")
_NO_DATABASE = "DB index is out of range"


class UnfitServer(Exception):
    """The server answers, but must not be used as it is set up; each problem says what to change."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ServerNotReady(BrokerUnavailable):
    """The server answers, and a worker waits for it, but somebody probably has to change something."""


class _Client(Redis):
    """Scripts that are registered can be named when an ACL stops them."""

    def register_script(self, script: Any) -> Any:
        register_text(script)
        return super().register_script(script)


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
    pool.connection_class = fast_connection_class(pool.connection_class)
    return _Client.from_pool(pool)


async def check(client: Redis, setting: str = "NUMBERGROUP_BROKER_URL") -> None:
    """Raises `UnfitServer` with all problems of a server that would lose data or that forbids what the work
    takes, `BrokerUnavailable` for one that is away, or a replica for now.

    `setting`: what an operator would have to change. Writes a key and deletes it.
    """
    commands: list[str] = []
    barred: list[str] = []
    try:
        await client.ping()
        facts = await read_server_facts(client)
        problems = _problems(facts)
        if await _is_cluster(client, facts):
            # It answers nothing else as a single server does.
            raise UnfitServer(_cluster(setting))
        if facts.has_acl:
            commands, barred = await find_missing_permissions(client)
        else:
            await check_writable(client)
    except (RedisError, OSError, ReadOnly) as error:
        raise _refusal(error, setting) from error
    if commands:
        problems.append(
            f"the ACL of the user in {setting} forbids commands that a worker needs: {', '.join(commands)}"
        )
    if barred:
        problems.append(
            f"the ACL of the user in {setting} forbids keys that a worker needs: {', '.join(barred)} "
            f"(permit {' and '.join('~' + one for one in PATTERNS)})"
        )
    if problems:
        raise UnfitServer(*problems)


def _refusal(error: Exception, setting: str) -> Exception:
    """What the answer of a server means for a worker: `UnfitServer` where no waiting helps."""
    match error:
        case ReadOnly():
            # It may become the primary yet.
            return ServerNotReady(f"{setting} names a read-only replica of Redis: name the primary server")
        case NoPermissionError():
            return UnfitServer(f"the ACL of the user in {setting} forbids what a worker needs ({error})")
        case AuthenticationError():
            return UnfitServer(f"Redis refuses the credentials in {setting} ({error})")
        case ResponseError() if is_cluster_error(error):
            return UnfitServer(_cluster(setting))
        case ResponseError() if _NO_DATABASE in str(error):
            return UnfitServer(f"{setting} names a database that this Redis does not have ({error})")
    return BrokerUnavailable(f"{setting}: {type(error).__name__}: {error}")


def _problems(facts: ServerFacts) -> list[str]:
    if not (facts.may_evict or "").startswith("allkeys"):
        return []
    policy = f"(maxmemory-policy {facts.may_evict})"
    return [f"the broker may throw commands away when memory runs out {policy}: set it to noeviction"]


async def _is_cluster(client: Redis, facts: ServerFacts) -> bool:
    """Where the server does not tell, two keys do: a cluster refuses keys of different slots together."""
    if facts.is_cluster:
        return True
    try:
        await client.exists("numbergroup:partitions", "numbergroup:workers")
    except ResponseError as error:
        return is_cluster_error(error)
    return False


def is_cluster_error(error: BaseException) -> bool:
    """Whether only a Redis Cluster answers like this."""
    if isinstance(error, MasterDownError):
        # A replica, of whatever kind; the library counts it as a cluster's answer.
        return False
    return isinstance(error, _OF_CLUSTER) or str(error).startswith(_CLUSTER_TEXTS)


def _cluster(setting: str) -> str:
    return f"{setting} names a Redis Cluster, which is not supported: use a single Redis server"
