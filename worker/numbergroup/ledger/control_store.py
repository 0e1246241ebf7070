"""Stores controls on Redis: the pauses of operators and the breakers of accounts, for all workers."""

from collections.abc import Mapping
from typing import Any

import orjson
from redis.asyncio import Redis

from numbergroup.engine.commands import GroupRef
from numbergroup.engine.events import Controls
from numbergroup.engine.policy import BreakerNotice
from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.control_codec import (
    UnreadableEntry,
    decode_breakers,
    decode_count,
    decode_pauses,
    decode_resumes,
    drop_mistyped,
    encode_breaker,
)
from numbergroup.ledger.port import ControlSnapshot, LedgerUnavailable, Pause
from numbergroup.observability.logging import get_logger

# A script is not rolled back. So each key's type is checked, by reading its length, before the first write.
_PAUSE = """
redis.call('XLEN', KEYS[2])
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
local time = redis.call('TIME')
local since = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('{"since":%.0f,', since) .. string.sub(ARGV[2], 2))
redis.call('XADD', KEYS[2], '*', 'who', ARGV[3], 'action', 'pause', 'detail', ARGV[4])
return 1
"""

_RESUME = """
redis.call('XLEN', KEYS[2])
redis.call('HLEN', KEYS[3])
redis.call('HLEN', KEYS[4])
local was = redis.call('HDEL', KEYS[1], ARGV[1]) + redis.call('HDEL', KEYS[4], ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[3], ARGV[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[3], 3600000)
redis.call('XADD', KEYS[2], '*', 'who', ARGV[2], 'action', 'resume', 'detail', ARGV[3])
return was
"""

# A value of another type, or without an expiry, counts as no reservation: otherwise the account would stay
# closed for ever.
_CLAIM_PROBE = """
if redis.call('TYPE', KEYS[1])['ok'] == 'string' and redis.call('PTTL', KEYS[1]) >= 0
  and redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE_PROBE = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' then return 0 end
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""

log = get_logger("ledger")


class RedisControlStore:
    """Implements `numbergroup.ledger.port.ControlStore` on Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._pause = client.register_script(_PAUSE)
        self._resume = client.register_script(_RESUME)
        self._claim_script = client.register_script(_CLAIM_PROBE)
        self._release_script = client.register_script(_RELEASE_PROBE)
        self._reported: frozenset[UnreadableEntry] = frozenset()

    async def read(self) -> ControlSnapshot:
        junk: set[UnreadableEntry] = set()
        hashes = (keys.PAUSES, keys.RESUMES, keys.BREAKERS)
        async with translate_errors(LedgerUnavailable):
            pipe = self._client.pipeline(transaction=False)
            pipe.time()
            for key in hashes:
                pipe.hgetall(key)
            pipe.get(keys.DEAD_LETTER_COUNT)
            answers = await pipe.execute(raise_on_error=False)
            values = drop_mistyped(
                dict(zip(("time", *hashes, keys.DEAD_LETTER_COUNT), answers, strict=True)), junk
            )
        paused = decode_pauses(values[keys.PAUSES] or {}, junk)
        snapshot = ControlSnapshot(
            Controls(
                {target: pause.reason for target, pause in paused.items() if isinstance(target, str)},
                {target: pause.reason for target, pause in paused.items() if isinstance(target, GroupRef)},
                decode_breakers(values[keys.BREAKERS] or {}, float(values["time"][0]), junk),
                decode_count(keys.DEAD_LETTER_COUNT, values[keys.DEAD_LETTER_COUNT] or b"0", junk),
            ),
            decode_resumes(values[keys.RESUMES] or {}, junk),
        )
        self._report_unreadable(frozenset(junk))
        return snapshot

    async def read_pauses(self) -> Mapping[str | GroupRef, Pause]:
        async with translate_errors(LedgerUnavailable):
            entries: Any = await self._client.hgetall(keys.PAUSES)
        return decode_pauses(entries, set())

    async def pause(self, target: str | GroupRef, reason: str, operator: str) -> bool:
        pause = orjson.dumps({"who": operator, "reason": reason})
        args: list[bytes | str] = [keys.target_field(target), pause, operator, _detail(target, reason)]
        async with translate_errors(LedgerUnavailable):
            return bool(await self._pause(keys=[keys.PAUSES, keys.AUDIT], args=args))

    async def resume(self, target: str | GroupRef, operator: str) -> bool:
        args: list[bytes | str] = [keys.target_field(target), operator, _detail(target, None)]
        async with translate_errors(LedgerUnavailable):
            script_keys = [keys.PAUSES, keys.AUDIT, keys.RESUMES, keys.QUARANTINED]
            return bool(await self._resume(keys=script_keys, args=args))

    async def claim_probe(self, account: str, owner: str, ttl_s: float) -> bool:
        async with translate_errors(LedgerUnavailable):
            return bool(
                await self._claim_script(
                    keys=[keys.probe(account)], args=[owner, max(1, round(ttl_s * 1000))]
                )
            )

    async def release_probe(self, account: str, owner: str) -> None:
        async with translate_errors(LedgerUnavailable):
            await self._release_script(keys=[keys.probe(account)], args=[owner])

    async def publish_breaker(self, account: str, notice: BreakerNotice | None) -> None:
        async with translate_errors(LedgerUnavailable):
            if notice is None:
                await self._client.hdel(keys.BREAKERS, account)
            else:
                await self._client.hset(keys.BREAKERS, account, encode_breaker(notice))

    def _report_unreadable(self, junk: frozenset[UnreadableEntry]) -> None:
        """Log each unreadable entry once: controls are read every second."""
        for entry in junk - self._reported:
            log.error(
                "an entry of the ledger cannot be read: mend or remove it",
                key=entry.key,
                field=entry.field,
                taken_for=entry.taken_for,
            )
        self._reported = junk


def _detail(target: str | GroupRef, reason: str | None) -> bytes:
    detail: dict[str, str] = {"account": target if isinstance(target, str) else target.account}
    if isinstance(target, GroupRef):
        detail["group"] = f"{target.kind}:{target.name}"
    if reason is not None:
        detail["reason"] = reason
    return orjson.dumps(detail)
