"""Stores shared vendor tokens on Redis: one JSON object per account, changed by compare-and-swap."""

from collections.abc import Callable

import orjson
from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis

from numbergroup.ledger import keys
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.ledger.token_state import TokenState
from numbergroup.observability.logging import get_logger

_KEPT_MS = 24 * 3_600_000
"""Lifetime of a state without changes: longer than a token is valid."""
_MAX_TRIES = 20

_READ = """
local kind = redis.call('TYPE', KEYS[1])['ok']
return {kind, kind == 'string' and redis.call('GET', KEYS[1]) or ''}
"""

# A key of another type counts as no token: a state replaces it.
_SWAP = """
local current = ''
if redis.call('TYPE', KEYS[1])['ok'] == 'string' then current = redis.call('GET', KEYS[1]) end
if current ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

_STATE = TypeAdapter(TokenState)

log = get_logger("ledger")


class RedisTokens:
    """Implements `numbergroup.ledger.port.TokenStore` on Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._read = client.register_script(_READ)
        self._swap = client.register_script(_SWAP)
        self._reported: bytes = b""

    async def read(self, account: str) -> TokenState:
        return self._decode(account, await self._get(account))

    async def change(
        self, account: str, change: Callable[[TokenState], TokenState | None]
    ) -> TokenState | None:
        for _ in range(_MAX_TRIES):
            current = await self._get(account)
            changed = change(self._decode(account, current))
            if changed is None:
                return None
            async with translate_errors(LedgerUnavailable):
                args: list[bytes | int] = [current, orjson.dumps(changed), _KEPT_MS]
                if await self._swap(keys=[keys.token(account)], args=args):
                    return changed
        raise LedgerUnavailable("the account's token is changed all the time")

    async def _get(self, account: str) -> bytes:
        """Return the stored bytes; none if the key has another type."""
        async with translate_errors(LedgerUnavailable):
            kind, value = await self._read(keys=[keys.token(account)])
        if kind not in (b"string", b"none"):
            self._report_unreadable(account, kind)
        return bytes(value)

    def _decode(self, account: str, data: bytes) -> TokenState:
        try:
            return _STATE.validate_json(data, strict=True) if data else TokenState()
        except ValidationError:
            self._report_unreadable(account, data)
            return TokenState()

    def _report_unreadable(self, account: str, junk: bytes) -> None:
        """Log each unreadable value once, without quoting it: it may contain a token."""
        if junk != self._reported:
            self._reported = junk
            log.error("an entry of the ledger cannot be read", key=keys.token(account), taken_for="no token")
