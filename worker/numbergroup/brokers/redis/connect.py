"""Connects to Redis, and checks that the server is set up so that it loses no data."""

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
from numbergroup.errors import ServerError
from numbergroup.ledger.connection import fast_connection_class
from numbergroup.ledger.scripts import register_text
from numbergroup_contracts.publishing.urls import parse, redis_arguments

_CONNECTIONS = 100
_CLUSTER_ERRORS = (MovedError, AskError, ClusterCrossSlotError, ClusterDownError)
# Error texts of Redis.
_CLUSTER_TEXTS = ("MOVED ", "CROSSSLOT ", "CLUSTERDOWN ", "SELECT is not allowed in cluster mode")
_NO_DATABASE = "DB index is out of range"


class UnfitServer(ServerError):
    """The server answers, but its setup loses data or forbids the work; each problem says what to change."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ServerNotReady(BrokerUnavailable):
    """The server answers but is not ready. A worker waits for it, but an operator probably has to act."""


class _Client(Redis):
    """Keeps the text of scripts, so that errors can name the command that an ACL forbids."""

    def register_script(self, script: Any) -> Any:
        register_text(script)
        return super().register_script(script)


def connect(url: str, partitions: int = 1, retries: int = 1) -> Redis:
    """Return a client whose commands fail after some seconds; its callers decide about longer retries.

    `retries`: how often a command is retried on a new connection. One is enough for a connection that was
    closed while idle; 0 is for callers that must know whether a command was carried out once. The pool has
    three further connections for each of the `partitions`, which reads, settles and renews its lease at the
    same time. The URL's parameters override the defaults. Raises `InvalidUrl`.
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
    # The URL determines the class: TCP, TLS or Unix socket.
    pool.connection_class = fast_connection_class(pool.connection_class)
    return _Client.from_pool(pool)


async def check(client: Redis, setting: str = "NUMBERGROUP_BROKER_URL") -> None:
    """Check that the server keeps data, and permits what a worker does. Writes and deletes one key.

    Raises `UnfitServer` with all problems that an operator must fix, or `BrokerUnavailable` if the server is
    unavailable or a replica. `setting` is the name of the setting with the server's URL, for messages.
    """
    commands: list[str] = []
    forbidden_keys: list[str] = []
    try:
        await client.ping()
        facts = await read_server_facts(client)
        problems = _eviction_problems(facts)
        if await _is_cluster(client, facts):
            # The other checks mean nothing on a cluster.
            raise UnfitServer(_cluster_problem(setting))
        if facts.has_acl:
            commands, forbidden_keys = await find_missing_permissions(client)
        else:
            await check_writable(client)
    except (RedisError, OSError, ReadOnly) as error:
        raise _translate_error(error, setting) from error
    if commands:
        problems.append(
            f"the ACL of the user in {setting} forbids commands that a worker needs: {', '.join(commands)}"
        )
    if forbidden_keys:
        problems.append(
            f"the ACL of the user in {setting} forbids keys that a worker needs: {', '.join(forbidden_keys)} "
            f"(permit {' and '.join('~' + pattern for pattern in PATTERNS)})"
        )
    if problems:
        raise UnfitServer(*problems)


def _translate_error(error: Exception, setting: str) -> Exception:
    """Return the exception for an error of the server: `UnfitServer` if waiting does not help."""
    match error:
        case ReadOnly():
            # The replica may become the primary.
            return ServerNotReady(f"{setting} names a read-only replica of Redis: name the primary server")
        case NoPermissionError():
            return UnfitServer(f"the ACL of the user in {setting} forbids what a worker needs ({error})")
        case AuthenticationError():
            return UnfitServer(f"Redis refuses the credentials in {setting} ({error})")
        case ResponseError() if is_cluster_error(error):
            return UnfitServer(_cluster_problem(setting))
        case ResponseError() if _NO_DATABASE in str(error):
            return UnfitServer(f"{setting} names a database that this Redis does not have ({error})")
    return BrokerUnavailable(f"{setting}: {type(error).__name__}: {error}")


def _eviction_problems(facts: ServerFacts) -> list[str]:
    if not (facts.may_evict or "").startswith("allkeys"):
        return []
    policy = f"(maxmemory-policy {facts.may_evict})"
    return [f"the broker may throw commands away when memory runs out {policy}: set it to noeviction"]


async def _is_cluster(client: Redis, facts: ServerFacts) -> bool:
    """Whether the server is a cluster. If `INFO` does not tell, it uses two keys of different slots in a
    command."""
    if facts.is_cluster:
        return True
    try:
        await client.exists("numbergroup:partitions", "numbergroup:workers")
    except ResponseError as error:
        return is_cluster_error(error)
    return False


def is_cluster_error(error: BaseException) -> bool:
    """Whether only a Redis Cluster gives this error."""
    if isinstance(error, MasterDownError):
        # Any replica may give this error, although the library counts it as a cluster's.
        return False
    return isinstance(error, _CLUSTER_ERRORS) or str(error).startswith(_CLUSTER_TEXTS)


def _cluster_problem(setting: str) -> str:
    return f"{setting} names a Redis Cluster, which is not supported: use a single Redis server"
