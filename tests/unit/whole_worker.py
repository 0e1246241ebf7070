"""A whole worker on an embedded broker: settings and commands in, results out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web
from deadlines import deadline
from redis.asyncio import Redis

from numbergroup.bootstrap import open_worker
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import connect
from numbergroup.ledger import keys
from numbergroup.settings import load_settings

PATIENCE_S = 30.0


def event(name: str, kind: str, account: str | None = None, **data: Any) -> bytes:
    """A command as a producer writes it."""
    said = {"specversion": "1.0", "id": name, "source": "crm", "type": f"numbergroup.{kind}.v1", "data": data}
    return orjson.dumps(said if account is None else said | {"account": account})


async def results_of(environ: dict[str, str], commands: Sequence[bytes]) -> dict[str, Any]:
    """What a worker with these settings answers: the `data` of each result, by its command's id."""
    broker = embedded.start()
    try:
        async with open_worker(load_settings(environ), broker.url) as worker:
            client = connect(broker.url)
            for command in commands:
                await client.xadd(keys.commands(0), {"event": command})
            working = asyncio.create_task(worker.run())
            try:
                return await _collected(client, len(commands))
            finally:
                worker.stop()
                await working
                await client.aclose()
    finally:
        broker.stop()


async def _collected(client: Redis, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    cursor: Any = "0-0"
    async with deadline(PATIENCE_S):
        while len(found) < count:
            read: Any = await client.xread({keys.REPLIES: cursor}, block=200)
            for tag, fields in read[0][1] if read else ():
                cursor, body = tag, orjson.loads(fields[b"event"])
                for one in body if isinstance(body, list) else [body]:
                    found[one["data"]["command"]["id"]] = one["data"]
    return found


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A vendor at the URL that comes out, which gives these answers, whatever the path."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
