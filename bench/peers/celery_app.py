"""Celery: a task for each command, on Redis or RabbitMQ.

celery --app bench.peers.celery_app worker …
python -m bench.peers.celery_app < EVENTS    # publish: one event a line
"""

import sys
from functools import cache

from celery import Celery
from redis import Redis

from bench.peers.posting import post
from bench.peers.task import ANSWERS, BROKER_URL, parsed, result, signed

CONNECTIONS = 32

app = Celery("bench", broker=BROKER_URL)
app.conf.update(
    task_ignore_result=True,
    # "Based on the number of active threads/green-threads using broker connections."
    broker_pool_limit=CONNECTIONS,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="update")
def update(event: str) -> None:
    command = parsed(event)
    request_id = post(signed(command.group, command.kind, command.phones))
    answer(result(command, [request_id]))


def answer(entry: bytes) -> None:
    if BROKER_URL.startswith("redis:"):
        _redis().rpush(ANSWERS, entry)
        return
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            entry, routing_key=ANSWERS, content_type="application/json", content_encoding="utf-8"
        )


@cache
def _redis() -> Redis:
    return Redis.from_url(BROKER_URL)


def main() -> None:
    with app.producer_pool.acquire(block=True) as producer:
        for line in sys.stdin.buffer:
            update.apply_async((line.decode(),), producer=producer)


if __name__ == "__main__":
    main()
