"""`numbergroup replies`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from worker.brokers.connect import connect
from worker.cli.broker import broker_failure, broker_url
from worker.cli.endings import Failure
from worker.settings import Settings, load_settings

_PAGE = 1_000
_BLOCK_MS = 1_000


def run(follow: bool, for_id: str | None, queue: str) -> None:
    """Raises `Failure` when the answer to `for_id` is not there (yet)."""
    settings = load_settings()
    asyncio.run(_print(settings, broker_url(settings), follow, for_id, queue))


async def _print(settings: Settings, url: str, follow: bool, for_id: str | None, queue: str) -> None:
    client = connect(url)
    try:
        async for page in _pages(settings, client, queue, follow):
            for result in page:
                if for_id is None or _answers(result, for_id):
                    sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
                    if for_id is not None:
                        sys.stdout.buffer.flush()
                        return
            sys.stdout.buffer.flush()
    finally:
        await client.aclose()
    if for_id is not None:
        raise Failure(f"no answer to {for_id} yet: --follow waits for it")


async def _pages(
    settings: Settings, client: Redis, queue: str, follow: bool
) -> AsyncIterator[Sequence[object]]:
    cursor: Any = "0-0"
    while True:
        try:
            found: Any = await client.xread({queue: cursor}, count=_PAGE, block=_BLOCK_MS if follow else None)
        except (RedisError, OSError) as error:
            if "WRONGTYPE" in str(error):
                raise Failure(f"{queue} is not a stream: see --queue") from None
            raise broker_failure(settings, error) from None
        rows = found[0][1] if found else []
        if rows:
            cursor = rows[-1][0]
            yield [result for _, fields in rows for result in _results(fields)]
        elif not follow:
            return


def _results(fields: Mapping[bytes, bytes]) -> Iterator[object]:
    """The results of one entry; nothing of an entry that somebody else wrote."""
    try:
        body = orjson.loads(fields.get(b"event", b"[]"))
    except orjson.JSONDecodeError:
        return
    yield from body if isinstance(body, list) else [body]


def _answers(result: Any, for_id: str) -> bool:
    try:
        return bool(result["data"]["command"]["id"] == for_id)
    except (KeyError, TypeError):
        return False
