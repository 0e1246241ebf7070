"""Dramatiq: an actor for each command, on Redis or RabbitMQ.

dramatiq-gevent bench.peers.dramatiq_app …
python -m bench.peers.dramatiq_app < EVENTS
"""

import sys
from functools import cache

import dramatiq
from redis import Redis

from bench.peers.posting import post
from bench.peers.task import ANSWERS, BROKER_URL, parsed, result, signed

if BROKER_URL.startswith("redis:"):
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=BROKER_URL)
else:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    broker = RabbitmqBroker(url=BROKER_URL)
dramatiq.set_broker(broker)


@dramatiq.actor
def update(event: str) -> None:
    command = parsed(event)
    request_id = post(signed(command.group, command.kind, command.phones))
    answer(result(command, [request_id]))


def answer(entry: bytes) -> None:
    if BROKER_URL.startswith("redis:"):
        _redis().rpush(ANSWERS, entry)
    else:
        broker.channel.basic_publish("", ANSWERS, entry)


@cache
def _redis() -> Redis:
    return Redis.from_url(BROKER_URL)


def main() -> None:
    for line in sys.stdin.buffer:
        update.send(line.decode())


if __name__ == "__main__":
    main()
