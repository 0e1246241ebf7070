"""Results on Redis: in a stream, or as kombu's messages in a list."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from redis.exceptions import RedisError

from numbergroup.brokers.redis.connect import connect
from numbergroup.cli.broker import broker_failure, broker_url
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.replies import Printer
from numbergroup.settings import Settings

_PAGE = 1_000
_BLOCK_MS = 1_000
_LOOK_AGAIN_S = 0.2

# What was pushed after the element that is given; all of it if that has gone, for then what was before it
# has gone, too. In one piece: the list moves at both ends.
_PUSHED_AFTER = """
local at = ARGV[1] ~= '' and redis.call('LPOS', KEYS[1], ARGV[1])
local last = at and at - 1 or redis.call('LLEN', KEYS[1]) - 1
if last < 0 then return {} end
return redis.call('LRANGE', KEYS[1], math.max(0, last + 1 - ARGV[2]), last)
"""

Row = tuple[bytes, bytes]
"""What the queue knows it by, and the results."""


async def read(settings: Settings, queue: str, printer: Printer, *, follow: bool, take: bool) -> None:
    """Print what is there, oldest first; `take` removes what was printed."""
    # Its types leave open whether an answer is text, and want every argument to be.
    client: Any = connect(broker_url(settings))
    try:
        kind = await _kind(settings, client, queue, follow=follow)
        results: _Stream | _List = (_List if kind == "list" else _Stream)(settings, client, queue)
        async for page in results.pages(lambda: follow and not printer.has_answer):
            printed = [row[0] for row in page if printer.show(row[1])]
            printer.flush()
            await results.passed(page, printed if take else [])
    finally:
        await client.aclose()


@contextmanager
def _talking(settings: Settings) -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise broker_failure(settings, error) from None


async def _kind(settings: Settings, client: Any, queue: str, *, follow: bool) -> str:
    """With `follow`, waits until there is such a queue."""
    while True:
        with _talking(settings):
            kind = str((await client.type(queue)).decode())
        if kind not in ("none", "stream", "list"):
            raise CommandError(f"{queue} is neither a stream nor a list: see --queue")
        if kind != "none" or not follow:
            return kind
        await asyncio.sleep(_LOOK_AGAIN_S)


class _Stream:
    """The worker's own reply stream."""

    def __init__(self, settings: Settings, client: Any, queue: str) -> None:
        self._settings, self._client, self._queue = settings, client, queue

    async def pages(self, waits: Callable[[], bool]) -> AsyncIterator[Sequence[Row]]:
        """All that is there; and what comes, for as long as somebody `waits` for more."""
        cursor: Any = "0-0"
        while True:
            block = _BLOCK_MS if waits() else None
            with _talking(self._settings):
                found: Any = await self._client.xread({self._queue: cursor}, count=_PAGE, block=block)
            rows = found[0][1] if found else []
            if rows:
                cursor = rows[-1][0]
                yield [(entry, fields.get(b"event", b"[]")) for entry, fields in rows]
            # A page that is not full was the last one at that moment.
            if len(rows) < _PAGE and not waits():
                return

    async def passed(self, _page: Sequence[Row], taken: Sequence[bytes]) -> None:
        if taken:
            with _talking(self._settings):
                await self._client.xdel(self._queue, *taken)


class _List:
    """The messages of kombu, the oldest at the right end."""

    def __init__(self, settings: Settings, client: Any, queue: str) -> None:
        self._settings, self._client, self._queue = settings, client, queue
        self._newest: bytes = b""

    async def pages(self, waits: Callable[[], bool]) -> AsyncIterator[Sequence[Row]]:
        """See `_Stream.pages`."""
        while True:
            with _talking(self._settings):
                found: Any = await self._client.eval(_PUSHED_AFTER, 1, self._queue, self._newest, str(_PAGE))
            if found:
                yield [(raw, _body(raw)) for raw in reversed(found)]
            if len(found) < _PAGE and not waits():
                return
            if not found:
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def passed(self, page: Sequence[Row], taken: Sequence[bytes]) -> None:
        gone = set(taken)
        if gone:
            with _talking(self._settings):
                pipe = self._client.pipeline(transaction=False)
                for raw in taken:
                    pipe.lrem(self._queue, -1, raw)
                await pipe.execute()
        self._newest = next((raw for raw, _ in reversed(page) if raw not in gone), self._newest)


def _body(raw: bytes) -> bytes:
    """The body of a kombu message; of anything else, nothing."""
    try:
        envelope = orjson.loads(raw)
        body: str = envelope["body"]
        encoded = envelope["properties"].get("body_encoding") == "base64"
        return b64decode(body) if encoded else body.encode()
    except (ValueError, LookupError, TypeError, AttributeError):
        return b"[]"
