"""Finds out whether the ACL of a Redis user permits what a worker does, by trying each command.

`ACL DRYRUN` would need a further permission. Each command is tried on one key, which holds a text for some
seconds: Redis checks permissions first, and then refuses most commands because of the key's type. Nothing
else changes.
"""

import secrets
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ReadOnlyError, RedisError, ResponseError

from numbergroup.errors import ServerError
from numbergroup.ledger import keys
from numbergroup_contracts import names

_LIFETIME_MS = 10_000

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
"""The commands that a worker needs; also `SELECT`, if the database is not 0."""
OPTIONAL = ("INFO", "CONFIG|GET")
"""Commands that a worker uses, if permitted, to check the server's setup."""
PATTERNS = ("numbergroup:*", "numbergroup.*")
"""Patterns of the keys that a worker uses, beside reply queues of other names."""

KEYS = (
    *(keys.commands(0), keys.of_partition(0, keys.LEASE), keys.of_partition(0, keys.CALLS)),
    *(names.COMMANDS, names.REPLIES, names.REPLY_STREAM),
    *(keys.PARTITIONS, keys.WORKERS, keys.GROUP_KEYS, keys.CREATES, keys.PAUSES, keys.DEAD_LETTER_COUNT),
    *(keys.settled("0"), keys.report("0"), keys.rate("0"), keys.token("0"), keys.probe("0")),
)
"""A key of each kind that a worker uses."""


class ReadOnly(ServerError):
    """The server is a read-only replica."""


async def check_writable(client: Redis) -> None:
    """Write and delete a key, on a server without ACLs.

    Raises like `find_missing_permissions`.
    """
    key = _key()
    try:
        await client.set(key, "", px=_LIFETIME_MS)
        await client.delete(key)
    except ReadOnlyError:
        raise ReadOnly from None


async def find_missing_permissions(client: Redis) -> tuple[list[str], list[str]]:
    """Return the forbidden commands and the forbidden keys. Writes and deletes a key.

    Raises `ReadOnly` on a replica, and `RedisError` if the key cannot be written for another reason.
    """
    key = _key()
    tries = [(name, _arguments(name, key)) for name in COMMANDS if name not in ("SET", "MULTI", "EXEC")]
    tries.sort(key=lambda attempt: attempt[0] == "DEL")
    # An `LTRIM` to the whole list changes nothing.
    tries += [("", ("LTRIM", used_key, 0, -1)) for used_key in KEYS]
    written = await _try(client, "SET", key, "", "PX", _LIFETIME_MS)
    pipe = client.pipeline(transaction=False)
    for _, (command, *arguments) in tries:
        # The client does not recognize a command whose name is bytes, and returns its answer unchanged.
        pipe.execute_command(command.encode(), *arguments)
    answers = await pipe.execute(raise_on_error=False)
    transaction = await _transaction(client)
    if isinstance(written, ReadOnlyError):
        raise ReadOnly
    forbidden = ["SET"] if _forbids_command(written) else []
    if _forbids_command(transaction):
        forbidden += [name for name in ("EXEC", "MULTI") if f"'{name.lower()}" in str(transaction)]
    forbidden += [
        name for (name, _), answer in zip(tries, answers, strict=True) if name and _forbids_command(answer)
    ]
    forbidden_keys = [
        str(command[1])
        for (name, command), answer in zip(tries, answers, strict=True)
        if not name and _forbids_key(answer)
    ]
    if isinstance(written, RedisError) and not forbidden and not forbidden_keys and not _forbids_key(written):
        raise written
    if _forbids_key(written):
        forbidden_keys.insert(0, "numbergroup:check:*")
    return sorted(forbidden), forbidden_keys


async def _transaction(client: Redis) -> object:
    """Try `MULTI` and `EXEC`, with `PING`, which is permitted at this point."""
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
            return (name, key, _LIFETIME_MS)
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


def _forbids_command(answer: object) -> bool:
    return isinstance(answer, NoPermissionError) and "permissions to run" in str(answer)


def _forbids_key(answer: object) -> bool:
    return isinstance(answer, NoPermissionError) and not _forbids_command(answer)
