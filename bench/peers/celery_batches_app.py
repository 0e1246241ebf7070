"""celery-batches: Celery with a task for many commands at once, merged by hand.

celery --app bench.peers.celery_batches_app worker …
python -m bench.peers.celery_batches_app < EVENTS
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from celery import Celery
from celery_batches import Batches, SimpleRequest
from redis import Redis

from bench.peers.merging import by_group, merged
from bench.peers.posting import post
from bench.peers.task import ANSWERS, BROKER_URL, Command, parsed, result, signed

FLUSH_EVERY = 2_000
FLUSH_INTERVAL_S = 5.0
CALLS_AT_ONCE = 32

app = Celery("bench", broker=BROKER_URL)
app.conf.update(
    task_ignore_result=True,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="update", base=Batches, flush_every=FLUSH_EVERY, flush_interval=FLUSH_INTERVAL_S)
def update(requests: list[SimpleRequest]) -> None:
    groups = by_group(parsed(request.args[0]) for request in requests)
    for entries in _callers().map(settled, groups.values()):
        _redis().rpush(ANSWERS, *entries)


def settled(commands: list[Command]) -> list[bytes]:
    """One group's calls, one after the other; then what its commands are answered."""
    calls = merged(commands)
    request_ids = [post(signed(commands[0].group, kind, phones)) for kind, phones in calls]
    return [result(command, request_ids) for command in commands]


@cache
def _callers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(CALLS_AT_ONCE)


@cache
def _redis() -> Redis:
    return Redis.from_url(BROKER_URL)


def main() -> None:
    with app.producer_pool.acquire(block=True) as producer:
        for line in sys.stdin.buffer:
            update.apply_async((line.decode(),), producer=producer)


if __name__ == "__main__":
    main()
