"""Reads results from Redis: from a stream, or from a list of kombu's messages."""

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
_POLL_S = 0.2

# Returns what was pushed after the element ARGV[1]; all elements if that is not in the list any more, because
# older ones are not either. A script, because the list changes at both ends.
_PUSHED_AFTER = """
local at = ARGV[1] ~= '' and redis.call('LPOS', KEYS[1], ARGV[1])
local last = at and at - 1 or redis.call('LLEN', KEYS[1]) - 1
if last < 0 then return {} end
return redis.call('LRANGE', KEYS[1], math.max(0, last + 1 - ARGV[2]), last)
"""

Row = tuple[bytes, bytes]
"""A message's entry id (stream) or its raw bytes (list), and its results as JSON."""


async def read(settings: Settings, queue: str, printer: Printer, *, follow: bool, remove: bool) -> None:
    """Print the messages of the queue, oldest first. With `remove`, remove those that were printed."""
    # `Any`, because the client's types are wrong about arguments and answers in bytes.
    client: Any = connect(broker_url(settings))
    try:
        kind = await _find_type(settings, client, queue, follow=follow)
        results: _Stream | _List = (_List if kind == "list" else _Stream)(settings, client, queue)
        async for page in results.pages(lambda: follow and not printer.has_answer):
            printed = [key for key, body in page if printer.print_message(body)]
            printer.flush()
            await results.finish_page(page, printed if remove else [])
    finally:
        await client.aclose()


@contextmanager
def _translate_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise broker_failure(settings, error) from None


async def _find_type(settings: Settings, client: Any, queue: str, *, follow: bool) -> str:
    """Return `stream`, `list` or `none`. With `follow`, wait until the queue exists."""
    while True:
        with _translate_errors(settings):
            kind = str((await client.type(queue)).decode())
        if kind not in ("none", "stream", "list"):
            raise CommandError(f"{queue} is neither a stream nor a list: is its name right (--queue)?")
        if kind != "none" or not follow:
            return kind
        await asyncio.sleep(_POLL_S)


class _Stream:
    """A reply stream of the worker."""

    def __init__(self, settings: Settings, client: Any, queue: str) -> None:
        self._settings, self._client, self._queue = settings, client, queue

    async def pages(self, may_wait: Callable[[], bool]) -> AsyncIterator[Sequence[Row]]:
        """Yield all messages; as long as `may_wait()` is true, also later ones."""
        cursor: Any = "0-0"
        while True:
            block = _BLOCK_MS if may_wait() else None
            with _translate_errors(self._settings):
                found: Any = await self._client.xread({self._queue: cursor}, count=_PAGE, block=block)
            rows = found[0][1] if found else []
            if rows:
                cursor = rows[-1][0]
                yield [(entry, fields.get(b"event", b"[]")) for entry, fields in rows]
            # A page that is not full is the last one for now.
            if len(rows) < _PAGE and not may_wait():
                return

    async def finish_page(self, _page: Sequence[Row], removed: Sequence[bytes]) -> None:
        """Remove messages of the page from the queue."""
        if removed:
            with _translate_errors(self._settings):
                await self._client.xdel(self._queue, *removed)


class _List:
    """A list of kombu's messages, the oldest at the right end."""

    def __init__(self, settings: Settings, client: Any, queue: str) -> None:
        self._settings, self._client, self._queue = settings, client, queue
        self._newest: bytes = b""

    async def pages(self, may_wait: Callable[[], bool]) -> AsyncIterator[Sequence[Row]]:
        """See `_Stream.pages`."""
        while True:
            with _translate_errors(self._settings):
                found: Any = await self._client.eval(_PUSHED_AFTER, 1, self._queue, self._newest, str(_PAGE))
            if found:
                yield [(raw, _decode_body(raw)) for raw in reversed(found)]
            if len(found) < _PAGE and not may_wait():
                return
            if not found:
                await asyncio.sleep(_POLL_S)

    async def finish_page(self, page: Sequence[Row], removed: Sequence[bytes]) -> None:
        """See `_Stream.finish_page`."""
        if removed:
            with _translate_errors(self._settings):
                pipe = self._client.pipeline(transaction=False)
                for raw in removed:
                    pipe.lrem(self._queue, -1, raw)
                await pipe.execute()
        removed_set = set(removed)
        self._newest = next((raw for raw, _ in reversed(page) if raw not in removed_set), self._newest)


def _decode_body(raw: bytes) -> bytes:
    """Return the body of a kombu message; an empty array for anything else."""
    try:
        envelope = orjson.loads(raw)
        body: str = envelope["body"]
        encoded = envelope["properties"].get("body_encoding") == "base64"
        return b64decode(body) if encoded else body.encode()
    except (ValueError, LookupError, TypeError, AttributeError):
        return b"[]"
