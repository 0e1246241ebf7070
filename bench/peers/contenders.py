"""The peers as contenders: which program of which environment, and whose advice its settings are."""

import os
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import redis

from bench.contender import Contender, Place
from bench.peers.task import ANSWERS
from bench.raw import connect
from bench.workload import Workload

_ROOT = Path(__file__).parents[2]
_NEWEST, _OLDER = ".venv-peers", ".venv-peers-older"


@dataclass(frozen=True)
class Peer:
    """See `bench.contender.Contender`. `program`: of `bench.peers`, run in `venv`; `arguments`: the command
    line of its worker."""

    key: str
    name: str
    broker: Literal["redis", "rabbitmq"]
    commands: int
    program: str
    arguments: tuple[str, ...]
    advice: str
    venv: str = _NEWEST

    def command(self, _place: Place) -> list[str]:
        executable, *arguments = self.arguments
        return [self._installed(executable), *arguments]

    def environment(self, place: Place) -> dict[str, str]:
        return {
            "BENCH_BROKER_URL": place.redis_url if self.broker == "redis" else place.amqp_url,
            "BENCH_VENDOR_URL": place.vendor_url,
            "PYTHONPATH": str(_ROOT),
        }

    def enqueue(self, work: Workload, place: Place) -> None:
        """With the library's own producer."""
        if self.broker == "rabbitmq":
            # What is answered to a queue that is not there yet is gone.
            _queue(place.amqp_url)
        publishing = [self._installed("python"), "-m", f"bench.peers.{self.program}"]
        environment = os.environ | self.environment(place)
        subprocess.run(publishing, input=b"\n".join(work.events()), env=environment, check=True)

    def answered(self, place: Place) -> int:
        if self.broker == "redis":
            return int(_redis(place.redis_url).llen(ANSWERS))
        return int(_queue(place.amqp_url).queue_declare(ANSWERS, passive=True).message_count)

    def _installed(self, executable: str) -> str:
        return str(_ROOT / self.venv / "bin" / executable)


@lru_cache(maxsize=1)
def _redis(url: str) -> Any:
    return redis.Redis.from_url(url, protocol=2)


@lru_cache(maxsize=1)
def _queue(url: str) -> Any:
    """A channel; the queue of answers is there."""
    channel = connect(url).channel()
    channel.queue_declare(ANSWERS, durable=True, auto_delete=False)
    return channel


_THREADS = ("--loglevel", "warning", "--pool", "threads", "--concurrency")

PEERS: tuple[Contender, ...] = (
    Peer(
        key="celery-redis",
        name="Celery, Redis",
        broker="redis",
        commands=3_000,
        program="celery_app",
        arguments=("celery", "--app", "bench.peers.celery_app", "worker", *_THREADS, "32"),
        advice="Celery 5.7, 32 threads, no results kept, as many connections (its guide, Optimizing); its "
        "stock prefetch of 4 a thread (64 was not faster), acknowledged early; prefork, gevent were slower",
    ),
    Peer(
        key="celery-rabbitmq",
        name="Celery, RabbitMQ",
        broker="rabbitmq",
        commands=4_000,
        program="celery_app",
        arguments=("celery", "--app", "bench.peers.celery_app", "worker", *_THREADS, "32"),
        advice="as on Redis; a classic queue, answers published without confirmation; gevent came to a halt",
    ),
    Peer(
        key="celery-batches",
        name="celery-batches, Redis, merged by hand",
        broker="redis",
        # Whole batches, with --quick, too: what remains of one would wait for its 5 s.
        commands=10_000,
        program="celery_batches_app",
        venv=_OLDER,
        arguments=(
            *("celery", "--app", "bench.peers.celery_batches_app", "worker", *_THREADS, "4"),
            *("--prefetch-multiplier", "1000"),
        ),
        advice="celery-batches 0.11 on Celery 5.6, flush_every=2,000 or 5 s, a prefetch above flush_every "
        "(its page How it works), 32 calls at a time; acknowledged early, no order between batches",
    ),
    Peer(
        key="dramatiq-redis",
        name="Dramatiq, Redis",
        broker="redis",
        commands=6_000,
        program="dramatiq_app",
        arguments=("dramatiq", "bench.peers.dramatiq_app", "--processes", "2", "--threads", "64"),
        advice="Dramatiq 2.2, a process a core as its guide has it, 64 threads each (8, 16, 32 were slower); "
        "its Advanced Topics suggest trying gevent for network I/O: slower",
    ),
    Peer(
        key="dramatiq-rabbitmq",
        name="Dramatiq, RabbitMQ",
        broker="rabbitmq",
        commands=6_000,
        program="dramatiq_app",
        arguments=("dramatiq", "bench.peers.dramatiq_app", "--processes", "2", "--threads", "32"),
        advice="as on Redis, with 32 threads each (16 and 64 were slower); a classic queue, answers "
        "published without confirmation",
    ),
    Peer(
        key="faststream",
        name="FastStream, Redis list, merged by hand",
        broker="redis",
        commands=100_000,
        program="faststream_app",
        arguments=("faststream", "run", "bench.peers.faststream_app:app", "--log-level", "warning"),
        advice="FastStream 0.7, batches of a Redis list (its page Redis List Batch Subscriber) of 10,000 "
        "(1,000, 2,000, 5,000 were slower), uvloop, no type casting; at most once: a crash loses the batch",
    ),
    Peer(
        key="arq",
        name="arq, Redis",
        broker="redis",
        commands=4_000,
        program="arq_app",
        venv=_OLDER,
        arguments=("arq", "bench.peers.arq_app.WorkerSettings"),
        advice="arq 0.28, max_jobs=100 (its page names no best; neither more jobs nor polling more often was "
        "clearly faster), no results kept or logged; at least once",
    ),
)
