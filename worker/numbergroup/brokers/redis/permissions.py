"""Whether the ACL of a Redis user permits what a worker does, found out by trying.

Asking (`ACL DRYRUN`) takes a permission that such a user need not have. Every command is tried on one key,
which holds a text for some seconds: Redis looks at permissions first, and then refuses most commands for the
key's type. Nothing else is changed.
"""

import secrets
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ReadOnlyError, RedisError, ResponseError

from numbergroup.ledger import keys
from numbergroup_contracts import names

_LASTS_MS = 10_000

_STREAMS = ("XADD", "XDEL", "XINFO", "XLEN", "XRANGE", "XREAD", "XTRIM")
_HASHES = ("HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HLEN", "HMGET", "HSET", "HSETNX", "HVALS")
_LISTS = ("LINDEX", "LLEN", "LPUSH", "LRANGE", "LTRIM")
_OTHERS = ("DECR", "DEL", "EXISTS", "GET", "INCR", "MGET", "PERSIST", "PEXPIRE", "PTTL", "SET", "TYPE")
_SETS = ("SADD", "SMEMBERS", "SREM")
COMMANDS = tuple(
    sorted(
        (*_STREAMS, *_HASHES, *_LISTS, *_OTHERS, *_SETS, "EVALSHA", "EXEC", "MULTI", "PING", "SCRIPT", "TIME")
    )
)
"""What a worker needs; and `SELECT`, where the database is not 0."""
OPTIONAL = ("INFO", "CONFIG|GET")
"""What it looks at the server's setup with, if it may."""
PATTERNS = ("numbergroup:*", "numbergroup.*")
"""The keys that it reads and writes, beside reply queues of other names."""

KEYS = (
    *(keys.commands(0), keys.of_partition(0, keys.LEASE), keys.of_partition(0, keys.CALLS)),
    *(names.COMMANDS, names.REPLIES, names.REPLY_STREAM),
    *(keys.PARTITIONS, keys.WORKERS, keys.GROUP_KEYS, keys.CREATES, keys.PAUSES, keys.LETTER_COUNT),
    *(keys.settled("0"), keys.report("0"), keys.rate("0"), keys.token("0"), keys.probe("0")),
)
"""One of each kind."""


class ReadOnly(Exception):
    """The server is a replica, and takes no changes."""


async def check_writable(client: Redis) -> None:
    """Writes and deletes a key, where there are no permissions to look at. Raises as `missing`."""
    key = _key()
    try:
        await client.set(key, "", px=_LASTS_MS)
        await client.delete(key)
    except ReadOnlyError:
        raise ReadOnly from None


async def find_missing_permissions(client: Redis) -> tuple[list[str], list[str]]:
    """The commands and the keys that are forbidden. Writes and deletes a key.

    Raises `ReadOnly` for a replica, and `RedisError` when the key cannot be written for another reason.
    """
    key = _key()
    tries = [(name, _arguments(name, key)) for name in COMMANDS if name not in ("SET", "MULTI", "EXEC")]
    tries.sort(key=lambda one: one[0] == "DEL")
    # Trimming nothing changes nothing, whatever is there.
    tries += [("", ("LTRIM", one, 0, -1)) for one in KEYS]
    written = await _try(client, "SET", key, "", "PX", _LASTS_MS)
    pipe = client.pipeline(transaction=False)
    for _, (command, *arguments) in tries:
        # By its name as bytes the client does not know the command, and leaves the answer as it is.
        pipe.execute_command(command.encode(), *arguments)
    answers = await pipe.execute(raise_on_error=False)
    transaction = await _transaction(client)
    if isinstance(written, ReadOnlyError):
        raise ReadOnly
    forbidden = ["SET"] if _is_of_command(written) else []
    if _is_of_command(transaction):
        forbidden += [name for name in ("EXEC", "MULTI") if f"'{name.lower()}" in str(transaction)]
    forbidden += [
        name for (name, _), answer in zip(tries, answers, strict=True) if name and _is_of_command(answer)
    ]
    barred = [
        str(command[1])
        for (name, command), answer in zip(tries, answers, strict=True)
        if not name and _is_of_key(answer)
    ]
    if isinstance(written, RedisError) and not forbidden and not barred and not _is_of_key(written):
        raise written
    if _is_of_key(written):
        barred.insert(0, "numbergroup:check:*")
    return sorted(forbidden), barred


async def _transaction(client: Redis) -> object:
    """`MULTI` and `EXEC`; with `PING`, which is permitted where one gets this far."""
    try:
        async with client.pipeline(transaction=True) as pipe:
            pipe.ping()
            return await pipe.execute()
    except ResponseError as error:
        return error


def _key() -> str:
    return f"numbergroup:check:{secrets.token_hex(8)}"


async def _try(client: Redis, *command: Any) -> Any:
    try:
        return await client.execute_command(*command)  # type: ignore[no-untyped-call]
    except ResponseError as error:
        return error


def _arguments(name: str, key: str) -> tuple[Any, ...]:
    match name:
        case "PING" | "TIME":
            return (name,)
        case "SCRIPT":
            return ("SCRIPT", "EXISTS", "0" * 40)
        case "EVALSHA":
            return (name, "0" * 40, 0)
        case "XINFO":
            return (name, "STREAM", key)
        case "XADD":
            return (name, key, "*", "a", "b")
        case "XREAD":
            return (name, "COUNT", 1, "STREAMS", key, "0")
        case "XRANGE":
            return (name, key, "-", "+")
        case "XTRIM":
            return (name, key, "MAXLEN", 1)
        case "PEXPIRE":
            return (name, key, _LASTS_MS)
        case "LRANGE" | "LTRIM":
            return (name, key, 0, -1)
        case "HINCRBY":
            return (name, key, "a", 1)
        case "HSET" | "HSETNX":
            return (name, key, "a", "b")
        case "XDEL":
            return (name, key, "0-1")
        case "HDEL" | "HEXISTS" | "HGET" | "HMGET" | "LPUSH" | "SADD" | "SREM":
            return (name, key, "a")
        case "LINDEX":
            return (name, key, 0)
        case _:
            return (name, key)


def _is_of_command(answer: object) -> bool:
    return isinstance(answer, NoPermissionError) and "permissions to run" in str(answer)


def _is_of_key(answer: object) -> bool:
    return isinstance(answer, NoPermissionError) and not _is_of_command(answer)
