"""The shared tokens on Redis: one JSON object an account, changed by compare-and-swap."""

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
"""Of an account that is not used: longer than a token lasts."""
_MOST_TRIES = 20

_READ = """
local kind = redis.call('TYPE', KEYS[1])['ok']
return {kind, kind == 'string' and redis.call('GET', KEYS[1]) or ''}
"""

# What is of another kind is nobody's token: a state is written in its place.
_SWAP = """
local there = ''
if redis.call('TYPE', KEYS[1])['ok'] == 'string' then there = redis.call('GET', KEYS[1]) end
if there ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

_STATE = TypeAdapter(TokenState)

log = get_logger("ledger")


class RedisTokens:
    """See `numbergroup.ledger.port.TokenStore`."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._read = client.register_script(_READ)
        self._swap = client.register_script(_SWAP)
        self._told: bytes = b""

    async def read(self, account: str) -> TokenState:
        return self._decoded(account, await self._get(account))

    async def change(
        self, account: str, change: Callable[[TokenState], TokenState | None]
    ) -> TokenState | None:
        for _ in range(_MOST_TRIES):
            found = await self._get(account)
            wanted = change(self._decoded(account, found))
            if wanted is None:
                return None
            async with translate_errors(LedgerUnavailable):
                args: list[bytes | int] = [found, orjson.dumps(wanted), _KEPT_MS]
                if await self._swap(keys=[keys.token(account)], args=args):
                    return wanted
        raise LedgerUnavailable("the account's token is changed all the time")

    async def _get(self, account: str) -> bytes:
        """What is there; nothing of a key of another kind."""
        async with translate_errors(LedgerUnavailable):
            kind, found = await self._read(keys=[keys.token(account)])
        if kind not in (b"string", b"none"):
            self._complain(account, kind)
        return bytes(found)

    def _decoded(self, account: str, data: bytes) -> TokenState:
        try:
            return _STATE.validate_json(data, strict=True) if data else TokenState()
        except ValidationError:
            self._complain(account, data)
            return TokenState()

    def _complain(self, account: str, junk: bytes) -> None:
        """Once of each, and without it: what cannot be read may hold a token all the same."""
        if junk != self._told:
            self._told = junk
            log.error("an entry of the ledger cannot be read", key=keys.token(account), taken_for="no token")
