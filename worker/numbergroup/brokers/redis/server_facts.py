"""How a Redis server is set up, as far as it tells, and what that means for the data on it."""

from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

_OLDEST = (7, 0)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`None` is what the server does not tell: managed servers often forbid or rename `CONFIG`, and an ACL
    may forbid both."""

    version: str | None = None
    is_cluster: bool = False
    has_snapshots: bool | None = None
    has_aof: bool | None = None
    aof_fsync: str | None = None
    has_acl: bool = True
    """False for the embedded broker, which knows no `INFO`."""
    may_evict: str | None = None
    """The `maxmemory-policy` where it may delete keys, and there is a limit."""


async def read_server_facts(client: Redis) -> ServerFacts:
    """Raises nothing of what the server refuses; `RedisError` and `OSError` when it does not answer."""
    try:
        info: Mapping[str, Any] = await client.info()
    except ResponseError as error:
        if "unknown command" in str(error).lower():
            return ServerFacts(has_acl=False)
        info = {}
    config = await _answer(client.config_get("*"))
    limit = str(config.get("maxmemory", info.get("maxmemory", "0")))
    policy = str(config.get("maxmemory-policy", info.get("maxmemory_policy", "noeviction")))
    aof = config.get("appendonly", info.get("aof_enabled"))
    return ServerFacts(
        version=str(info["redis_version"]) if "redis_version" in info else None,
        is_cluster=str(info.get("cluster_enabled", "0")) == "1",
        has_snapshots=bool(config["save"]) if "save" in config else None,
        has_aof=None if aof is None else str(aof) in ("yes", "1"),
        aof_fsync=config.get("appendfsync"),
        may_evict=policy if limit != "0" and policy != "noeviction" else None,
    )


async def _answer(asked: Awaitable[Any]) -> Mapping[str, Any]:
    try:
        answer = await asked
    except ResponseError:
        return {}
    return answer if isinstance(answer, Mapping) else {}


def warnings(facts: ServerFacts, *, holds_commands: bool) -> Iterator[str]:
    """What an operator should know, as far as it is known. `holds_commands`: whether commands and results are
    on this server, and not only what is remembered of them."""
    data = "waiting commands, results, dead letters" if holds_commands else "dead letters, groupKeys"
    data += " and what is remembered of settled commands"
    if facts.has_aof is False and facts.has_snapshots is False:
        yield f"Redis keeps nothing on disk (save is empty, appendonly is no): a restart loses all {data}"
    elif facts.has_aof is False:
        yield (
            "Redis keeps only snapshots on disk (appendonly is no): when it dies, what is newer than the "
            f"last one is lost: {data}"
        )
    elif facts.has_aof and facts.aof_fsync in ("everysec", "no"):
        span = "last second" if facts.aof_fsync == "everysec" else "last half minute or so"
        yield (
            f"Redis does not write to disk at once (appendfsync is {facts.aof_fsync}): when its machine "
            f"dies, the {span} may be lost: {data}"
        )
    if facts.is_cluster:
        yield "this is a Redis Cluster, which is not supported: workers do not start"
    if facts.may_evict and not facts.may_evict.startswith("allkeys"):
        yield (
            f"Redis may forget leases and settled commands when memory runs out (maxmemory-policy is "
            f"{facts.may_evict}): set it to noeviction"
        )
    version = facts.version or ""
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts and parts < _OLDEST:
        yield f"Redis {version} is older than what is tested (7.0 and newer)"
