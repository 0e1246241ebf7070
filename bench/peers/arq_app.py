"""arq: a job for each command, on Redis.

arq bench.peers.arq_app.WorkerSettings
python -m bench.peers.arq_app < EVENTS
"""

import asyncio
import sys
from typing import Any

import aiohttp
from arq import create_pool
from arq.connections import RedisSettings

from bench.peers.task import ANSWERS, BROKER_URL, VENDOR_URL, parsed, result, signed, succeeded

PUBLISHED_AT_ONCE = 50

Context = dict[str, Any]


async def update(context: Context, event: bytes) -> None:
    command = parsed(event)
    call = signed(command.group, command.kind, command.phones)
    async with context["http"].post(VENDOR_URL, data=call.body, headers=call.headers) as answer:
        request_id = succeeded(await answer.read())
    await context["redis"].rpush(ANSWERS, result(command, [request_id]))


async def start(context: Context) -> None:
    context["http"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def stop(context: Context) -> None:
    await context["http"].close()


class WorkerSettings:
    functions = (update,)
    on_startup = start
    on_shutdown = stop
    redis_settings = RedisSettings.from_dsn(BROKER_URL or "redis://127.0.0.1")
    max_jobs = 100
    keep_result = 0
    log_results = False


async def publish() -> None:
    pool = await create_pool(WorkerSettings.redis_settings)
    lines = sys.stdin.buffer.read().splitlines()
    for at in range(0, len(lines), PUBLISHED_AT_ONCE):
        await asyncio.gather(
            *(pool.enqueue_job("update", line) for line in lines[at : at + PUBLISHED_AT_ONCE])
        )
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(publish())
