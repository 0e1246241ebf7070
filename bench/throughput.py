"""How fast everything that waits is done: one contender at a time, each with a fresh broker.

A run: the worker starts on an empty queue, and some commands warm it up. Then it is frozen, N commands are
put into the queue, and it is thawed: time runs from there until all N are answered. So its start does not
count, and everything waits when time begins.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random

from bench.contender import Contender, Place
from bench.processes import Ended, Program, RabbitMQ, Tree, rabbitmq_server, redis_program, running, stub
from bench.workload import Workload

GROUPS = 100
VENDOR_MS = 20.0
ORDER_SEED = 1
WARM_UP = 50
_FEWEST = 200
_POLL_S = 0.01
_READY_S = 60.0
_MOST_S = 180.0


class Unfinished(Exception):
    """Not all commands were answered in time."""


@dataclass(frozen=True)
class Run:
    """One contender's one run."""

    key: str
    commands: int
    seconds: float
    calls: int
    cpu_s: float
    peak_mb: float
    broker_cpu_s: float

    @property
    def per_second(self) -> float:
        """Commands per second."""
        return self.commands / self.seconds

    @property
    def cpu_per_10k(self) -> float:
        """CPU seconds of the worker, all its processes, per 10,000 commands."""
        return self.cpu_s / self.commands * 10_000

    @property
    def broker_cpu_per_10k(self) -> float:
        """The broker's own."""
        return self.broker_cpu_s / self.commands * 10_000


def run(
    contender: Contender,
    work: Workload,
    rabbitmq: RabbitMQ | None,
    latency_ms: float = VENDOR_MS,
    most_s: float = _MOST_S,
) -> Run:
    """Raises `Unfinished`, and `bench.processes.Ended` when the worker ends. `latency_ms` is the vendor's;
    `most_s`: so long it may take."""
    with ExitStack() as opened:
        port, redis = opened.enter_context(redis_program())
        vendor = opened.enter_context(stub(latency_ms))
        broker: Tree = redis
        amqp_url = ""
        if contender.broker == "rabbitmq":
            assert rabbitmq is not None
            amqp_url, broker = opened.enter_context(rabbitmq.vhost()), rabbitmq
        place = Place(f"redis://127.0.0.1:{port}/0", amqp_url, vendor.url)
        worker = opened.enter_context(
            running(*contender.command(place), environment=contender.environment(place))
        )
        warm_up = work.warm_up(WARM_UP)
        contender.enqueue(warm_up, place)
        _until(lambda: contender.answered(place), WARM_UP, worker, _READY_S)

        worker.freeze()
        contender.enqueue(work, place)
        calls, cpu_s, broker_cpu_s = vendor.calls(), worker.cpu_s(), broker.cpu_s()
        began = time.perf_counter()
        worker.thaw()
        ended = _until(lambda: contender.answered(place), WARM_UP + work.commands, worker, most_s)
        return Run(
            key=contender.key,
            commands=work.commands,
            seconds=ended - began,
            cpu_s=worker.cpu_s() - cpu_s,
            broker_cpu_s=broker.cpu_s() - broker_cpu_s,
            calls=vendor.calls() - calls,
            peak_mb=worker.peak_mb(),
        )


def _until(answered: Callable[[], int], expected: int, worker: Program, most_s: float) -> float:
    """When (`perf_counter`) so many were answered."""
    deadline = time.perf_counter() + most_s
    while (found := answered()) < expected:
        worker.check()
        if time.perf_counter() > deadline:
            raise Unfinished(
                f"{found:,} of {expected:,} answered in {most_s:g} s; it says:\n{worker.last_words()}"
            )
        time.sleep(_POLL_S)
    now = time.perf_counter()
    if found > expected:
        raise Unfinished(f"{found:,} answers to {expected:,} commands")
    return now


@contextmanager
def brokers_for(contenders: Sequence[Contender]) -> Iterator[RabbitMQ | None]:
    """A RabbitMQ for all runs, if one of them wants it. Redis is started anew for each."""
    if any(contender.broker == "rabbitmq" for contender in contenders):
        with rabbitmq_server() as server:
            yield server
    else:
        yield None


def measure(
    contenders: Sequence[Contender], repeats: int, scale: float, say: Callable[[str], None]
) -> tuple[list[Run], dict[str, str]]:
    """Every contender once, in random order, then again; also, by its key, why one was not run to its end.
    `scale`: of its commands it gets this share."""
    random = Random(ORDER_SEED)
    found: list[Run] = []
    unfinished: dict[str, str] = {}
    with brokers_for(contenders) as rabbitmq:
        for repeat in range(1, repeats + 1):
            for contender in random.sample(contenders, len(contenders)):
                work = Workload(max(_FEWEST, round(contender.commands * scale)), GROUPS)
                said = f"{repeat}/{repeats}  {contender.name}"
                try:
                    one = run(contender, work, rabbitmq)
                except (Unfinished, Ended) as error:
                    unfinished[contender.key] = f"in run {repeat}: {error}"
                    say(f"{said}: {error}")
                    continue
                found.append(one)
                say(
                    f"{said}: {one.per_second:,.0f} commands/s "
                    f"({one.commands:,} in {one.seconds:.2f} s, {one.calls:,} calls)"
                )
    return found, unfinished
