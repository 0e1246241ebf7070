"""Reads how a Redis server is set up, and warns of settings that endanger its data."""

from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

_OLDEST_VERSION = (7, 0)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The setup of a Redis server; `None` means unknown.

    Managed servers often forbid or rename `CONFIG`, and an ACL may forbid both `CONFIG` and `INFO`.
    """

    version: str | None = None
    is_cluster: bool = False
    has_snapshots: bool | None = None
    has_aof: bool | None = None
    aof_fsync: str | None = None
    has_acl: bool = True
    """False for the embedded broker, which has no `INFO`."""
    may_evict: str | None = None
    """The `maxmemory-policy`, if there is a memory limit and the policy deletes keys."""


async def read_server_facts(client: Redis) -> ServerFacts:
    """Return the facts; those that the server refuses to tell are unknown.

    Raises `RedisError` or `OSError` if the server does not answer.
    """
    try:
        info: Mapping[str, Any] = await client.info()
    except ResponseError as error:
        if "unknown command" in str(error).lower():
            return ServerFacts(has_acl=False)
        info = {}
    config = await _answer_or_empty(client.config_get("*"))
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


async def _answer_or_empty(query: Awaitable[Any]) -> Mapping[str, Any]:
    try:
        answer = await query
    except ResponseError:
        return {}
    return answer if isinstance(answer, Mapping) else {}


def warnings(facts: ServerFacts, *, holds_commands: bool) -> Iterator[str]:
    """Yield warnings for operators about the server's setup.

    `holds_commands`: whether this server is the broker, and not only the ledger.
    """
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
    if parts and parts < _OLDEST_VERSION:
        yield f"Redis {version} is older than what is tested (7.0 and newer)"
