"""How long a lone command takes on an idle worker, next to the vendor's own latency.

    python -m bench.lone_command [--commands 200] [--vendor-ms 20]

Real processes on loopback: redis-server, `numbergroup sandbox`, `numbergroup run`. Commands are published
one by one, each when the one before is answered, so that none ever has company to wait for. In the same
run, and in turn with them, the same signed call is made straight to the vendor: what is left between the
two is what the worker adds.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from redis.asyncio import Redis

from bench.processes import connected, free_port, redis_server, running
from worker.calls import Caller, Limits
from worker.engine.model import Applied, Call, CallKind
from worker.providers.nxcloud import NXCloud
from worker.transport import HttpTransport

KEY, SECRET = "bench-key", "bench-secret"
STREAM, REPLIES = "numbergroup:{0}:commands", "numbergroup:replies"


class Always:
    async def outlives(self, _seconds: float) -> bool:
        return True


async def no_permit() -> None:
    return


async def no_intent(_until: float) -> bool:
    return True


async def measure(commands: int, sandbox_url: str, client: Redis) -> tuple[list[float], list[float]]:
    vendor = NXCloud(sandbox_url, KEY, lambda: SECRET)
    caller = Caller(vendor, HttpTransport(1, 3.0, 8.0), Limits(), no_permit, time.time)
    through, straight = [], []
    cursor: bytes | str = "0-0"
    try:
        for index in range(commands + 20):
            number = f"8521{index:07}"
            event = {
                "specversion": "1.0",
                "id": f"lone-{index}",
                "source": "bench",
                "type": "numbergroup.update.v1",
                "data": {"groupId": "bench", "operateType": "add", "phones": [number]},
            }
            began = time.perf_counter()
            await client.xadd(STREAM, {"event": orjson.dumps(event)})
            found = await client.xread({REPLIES: cursor}, block=20_000)
            through.append(time.perf_counter() - began)
            ((_, rows),) = found
            ((cursor, fields),) = rows
            assert orjson.loads(fields[b"event"])["data"]["status"] == "applied"

            began = time.perf_counter()
            call = Call(CallKind.ADD, (number,), "bench-straight")
            ended = await caller.run(call, Always(), no_intent)
            straight.append(time.perf_counter() - began)
            assert isinstance(ended.outcome, Applied)
    finally:
        await caller.close()
    return through[20:], straight[20:]


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def run(commands: int, vendor_ms: int) -> None:
    script = str(Path(sys.executable).with_name("numbergroup"))
    sandbox_port = free_port()
    url = f"http://127.0.0.1:{sandbox_port}/api/pns/"
    account = {
        "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_KEY": KEY,
        "NUMBERGROUP_ACCOUNTS__DEFAULT__ACCESS_SECRET": SECRET,
        "NUMBERGROUP_ACCOUNTS__DEFAULT__BASE_URL": url,
        "NUMBERGROUP_ACCOUNTS__DEFAULT__CALLS_PER_SECOND": "1000",
        "NUMBERGROUP_LOG_LEVEL": "error",
    }
    vendor = [script, "sandbox", "--port", str(sandbox_port), "--latency-ms", str(vendor_ms)]
    with redis_server() as redis_port, running(*vendor, environment=account):
        account["NUMBERGROUP_BROKER_URL"] = f"redis://127.0.0.1:{redis_port}/0"
        with running(script, "run", environment=account):
            client = Redis(port=redis_port, protocol=2)
            await connected(client)
            through, straight = await measure(commands, url, client)
            await client.aclose()
    added = [a - b for a, b in zip(through, straight, strict=True)]
    print(f"{commands} lone commands, a vendor that takes {vendor_ms} ms, redis-server\n")
    print(f"{'ms':<40}{'p50':>8}{'p90':>8}{'p99':>8}")
    for name, values in (
        ("published to answered", through),
        ("the same call, straight to the vendor", straight),
        ("added by the worker", added),
    ):
        print(f"{name:<40}" + "".join(f"{percentile(values, share):>8.1f}" for share in (0.5, 0.9, 0.99)))
    ratio = percentile(through, 0.5) / percentile(straight, 0.5)
    print(f"\np50 through the worker is {ratio:.2f} × the vendor's own")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--commands", type=int, default=200)
    parser.add_argument("--vendor-ms", type=int, default=20)
    options = parser.parse_args()
    asyncio.run(run(options.commands, options.vendor_ms))


if __name__ == "__main__":
    main()
