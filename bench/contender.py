"""What is measured side by side: programs that take commands from a queue and make API calls of them."""

from dataclasses import dataclass
from typing import Literal, Protocol

from bench.workload import Workload


@dataclass(frozen=True)
class Place:
    """Where a run takes place."""

    redis_url: str
    """An empty database, of a redis-server of the run's own."""
    amqp_url: str
    """An empty vhost; "" where the contender's broker is Redis."""
    vendor_url: str
    """Of `bench.vendor`: http://127.0.0.1:P/api/pns/"""


class Contender(Protocol):
    """One program under one broker. It answers every command, after its API call, by one result that can be
    counted, so that all have the same duty."""

    @property
    def name(self) -> str:
        """For the tables: "numbergroup, Redis streams", "Celery, Redis"."""

    @property
    def key(self) -> str:
        """For `--only`: "redis-streams", "celery-redis"."""

    @property
    def broker(self) -> Literal["redis", "rabbitmq"]: ...

    @property
    def commands(self) -> int:
        """How many it is given in a whole run: the slow ones fewer, which the table says."""

    @property
    def advice(self) -> str:
        """How it is configured, and whose advice that is; printed under the table."""

    def command(self, place: Place) -> list[str]:
        """The command line of one worker, as the product understands it."""

    def environment(self, place: Place) -> dict[str, str]:
        """What that gets beyond this process's own environment."""

    def enqueue(self, work: Workload, place: Place) -> None:
        """Put all into the queue, in bulk if it can; returns when they are there. The worker runs already:
        first comes the warm-up, then, while the worker is frozen, what is measured."""

    def answered(self, place: Place) -> int:
        """How many commands have been answered since the place was empty. Cheap: asked every 10 ms."""
