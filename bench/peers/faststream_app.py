"""FastStream: batches from a Redis list, merged by hand.

faststream run bench.peers.faststream_app:app
python -m bench.peers.faststream_app < EVENTS
"""

import asyncio
import sys
from functools import cache
from typing import Any

import aiohttp
from faststream import FastStream
from faststream.redis import ListSub, RedisBroker
from redis.asyncio import Redis

from bench.peers.merging import by_group, merged
from bench.peers.task import (
    ANSWERS,
    BROKER_URL,
    VENDOR_URL,
    Command,
    Kind,
    command_of,
    result,
    signed,
    succeeded,
)

COMMANDS = "bench-commands"
MAX_RECORDS = 10_000
PUBLISHED_AT_ONCE = 1_000

broker = RedisBroker(BROKER_URL, apply_types=False, logger=None)
app = FastStream(broker)


@app.on_shutdown
async def stop() -> None:
    await _http().close()
    await _redis().aclose()


@broker.subscriber(list=ListSub(COMMANDS, batch=True, max_records=MAX_RECORDS))
async def update(events: list[dict[str, Any]]) -> None:
    groups = by_group(map(command_of, events))
    entries = await asyncio.gather(*map(settled, groups.values()))
    await _redis().rpush(ANSWERS, *(entry for group in entries for entry in group))


async def settled(commands: list[Command]) -> list[bytes]:
    """One group's calls; then what its commands are answered."""
    group = commands[0].group
    # No number is in two calls of it: they may be made at the same time.
    request_ids = await asyncio.gather(*(post(group, kind, phones) for kind, phones in merged(commands)))
    return [result(command, request_ids) for command in commands]


async def post(group: str, kind: Kind, phones: tuple[str, ...]) -> str:
    call = signed(group, kind, phones)
    async with _http().post(VENDOR_URL, data=call.body, headers=call.headers) as answer:
        return succeeded(await answer.read())


@cache
def _http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


@cache
def _redis() -> Redis:
    return Redis.from_url(BROKER_URL)


async def publish() -> None:
    lines = sys.stdin.buffer.read().splitlines()
    async with broker:
        for at in range(0, len(lines), PUBLISHED_AT_ONCE):
            await broker.publish_batch(*lines[at : at + PUBLISHED_AT_ONCE], list=COMMANDS)


if __name__ == "__main__":
    asyncio.run(publish())
