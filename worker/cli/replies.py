"""`numbergroup replies`."""

import asyncio
import sys
from typing import Any

import orjson
from redis.exceptions import RedisError

from worker.brokers.connect import connect
from worker.cli.endings import FAILED, Failure
from worker.cli.publish import broker_url, unreachable
from worker.settings import load_settings

_PAGE = 1_000
_BLOCK_MS = 1_000


def run(follow: bool, for_id: str | None, queue: str) -> int:
    """The exit code: 1 when the answer to `for_id` is not there (yet)."""
    return asyncio.run(_print(broker_url(load_settings()), follow, for_id, queue))


async def _print(url: str, follow: bool, for_id: str | None, queue: str) -> int:
    client = connect(url)
    cursor: Any = "0-0"
    try:
        while True:
            found: Any = await client.xread({queue: cursor}, count=_PAGE, block=_BLOCK_MS if follow else None)
            if not found and not follow:
                return 0 if for_id is None else FAILED
            rows = found[0][1] if found else []
            cursor = rows[-1][0] if rows else cursor
            for _, fields in rows:
                body = orjson.loads(fields[b"event"])
                for result in body if isinstance(body, list) else [body]:
                    if for_id is None or result["data"]["command"]["id"] == for_id:
                        sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
                        sys.stdout.buffer.flush()
                        if for_id is not None:
                            return 0
    except RedisError as error:
        if "WRONGTYPE" in str(error):
            raise Failure(f"{queue} is not a stream: see --queue") from None
        raise unreachable(url, error) from None
    except OSError as error:
        raise unreachable(url, error) from None
    finally:
        await client.aclose()
