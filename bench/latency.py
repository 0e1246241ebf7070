"""How long it takes from a command's being published to its result, next to the vendor's own time.

    python -m bench.latency [--quick]

A lone command: published when the one before is answered, so that none has company to wait for. In turn
with them a signed call is made straight to the vendor: what is left between the two is what the worker adds.

Under load: commands come at random times, at 10, 50 and 90 % of what the worker can do while they are
published and their results are read on the same machine, over 100 groups. Stock settings: 16 calls in flight
to a vendor that takes 20 ms are 800 calls a second at most, so that under load a group waits for its turn.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import redis

from bench.asking import Queue, RabbitQueue, RedisQueue, Straight
from bench.bulk import fill
from bench.contender import Place
from bench.contenders import Numbergroup
from bench.figures import percentile
from bench.open_loop import arrivals, observe, saturated
from bench.processes import Stub, end_well, has_rabbitmq, rabbitmq_server, redis_program, running, stub
from bench.workload import Workload
from numbergroup_contracts.names import command_stream

Broker = Literal["redis", "rabbitmq"]
VENDOR_MS = 20.0
SHARES = (0.1, 0.5, 0.9)
_GROUPS = 100
_WARM_UP = 50
_BETWEEN_S = 0.05
_CAPACITY_SEED = 7


@dataclass(frozen=True)
class Times:
    """Percentiles, in ms; None where there are too few values to tell."""

    count: int
    p50: float
    p99: float
    p999: float | None


@dataclass(frozen=True)
class Lone:
    """`added_ms` is the difference between a command and the straight call that was made next."""

    through_ms: Times
    vendor_ms: Times
    added_ms: Times


@dataclass(frozen=True)
class Load:
    """`share` of the capacity; `rate` in commands/s; `late_ms`: how late they were published, which is part
    of `through_ms`. `unanswered` is 0 where the worker kept up."""

    share: float
    rate: float
    calls: int
    through_ms: Times
    vendor_ms: Times
    late_ms: Times
    unanswered: int


@dataclass(frozen=True)
class Latency:
    """`lone` by broker; `capacity` in commands/s."""

    lone: Mapping[str, Lone]
    capacity: float
    loads: Sequence[Load]


def measure(say: Callable[[str], None], *, quick: bool = False) -> Latency:
    """About two minutes; a tenth of the commands when `quick`. Without a rabbitmq-server that part is left
    out."""
    scale = 0.1 if quick else 1.0
    lone = {"redis": _lone("redis", round(1_000 * scale))}
    say(f"a lone command over Redis: {lone['redis'].added_ms.p99:.1f} ms more than the vendor's (p99)")
    if has_rabbitmq():
        lone["rabbitmq"] = _lone("rabbitmq", round(300 * scale))
        say(f"a lone command over RabbitMQ: {lone['rabbitmq'].added_ms.p99:.1f} ms more (p99)")
    with _at_work("redis") as (place, vendor):
        seconds = 1.0 if quick else 4.0
        work = Workload(round(60_000 * seconds), _GROUPS, seed=_CAPACITY_SEED)
        capacity = saturated(place.redis_url, work, seconds, waiting=10_000)
        say(f"capacity under load: {capacity:,.0f} commands/s")
        loads = []
        for share in SHARES:
            _drained(place)
            one = _load(place, vendor, share, capacity, 10.0 * scale)
            say(f"at {share:.0%}: p50 {one.through_ms.p50:.0f} ms, p99 {one.through_ms.p99:.0f} ms")
            loads.append(one)
    return Latency(lone, capacity, loads)


@contextmanager
def _at_work(broker: Broker) -> Iterator[tuple[Place, Stub]]:
    """A worker with stock settings that is warm."""
    with ExitStack() as opened:
        port, _ = opened.enter_context(redis_program())
        vendor = opened.enter_context(stub(VENDOR_MS))
        amqp_url = ""
        if broker == "rabbitmq":
            amqp_url = opened.enter_context(opened.enter_context(rabbitmq_server()).vhost())
        place = Place(f"redis://127.0.0.1:{port}/0", amqp_url, vendor.url)
        contender = Numbergroup(broker, broker, broker, 0)
        opened.enter_context(running(*contender.command(place), environment=contender.environment(place)))
        if broker == "redis":
            fill(place.redis_url, Workload(_WARM_UP, _GROUPS, seed=-1).events())
            _drained(place)
        yield place, vendor


def _drained(place: Place) -> None:
    """Return when nothing waits any more."""
    client: Any = redis.Redis.from_url(place.redis_url, protocol=2)
    deadline = time.monotonic() + 60
    while client.xlen(command_stream(0)):
        assert time.monotonic() < deadline, "the worker does not come to an end"
        time.sleep(0.02)
    client.close()


def _lone(broker: Broker, commands: int) -> Lone:
    with _at_work(broker) as (place, vendor):
        queue: Queue = RedisQueue(place) if broker == "redis" else RabbitQueue(place)
        straight = Straight(vendor.url)
        through = []
        for event in Workload(commands + _WARM_UP, 1, numbers=1).events():
            through.append(queue.ask(event))
            straight.call()
    own = straight.taken_s[_WARM_UP:]
    through = through[_WARM_UP:]
    return Lone(times(through), times(own), times([a - b for a, b in zip(through, own, strict=True)]))


def _load(place: Place, vendor: Stub, share: float, capacity: float, seconds: float) -> Load:
    due = arrivals(share * capacity, seconds, seed=round(100 * share))
    work = Workload(len(due), _GROUPS, seed=round(100 * share))
    straight = Straight(vendor.url)

    def meanwhile() -> None:
        straight.call()
        time.sleep(_BETWEEN_S)

    calls = vendor.calls()
    observed = observe(place.redis_url, work, due, meanwhile)
    return Load(
        share,
        share * capacity,
        vendor.calls() - calls - len(straight.taken_s),
        times(observed.taken_s),
        times(straight.taken_s),
        times(observed.late_s),
        observed.published - len(observed.taken_s),
    )


def times(seconds: Sequence[float]) -> Times:
    """Of fewer than 1,000 values nothing lies beyond the 99.9th percentile."""
    count, ms = len(seconds), [1000 * one for one in seconds]
    last = percentile(ms, 0.999) if count >= 1_000 else None
    return Times(count, percentile(ms, 0.5), percentile(ms, 0.99), last)


def lines(latency: Latency) -> list[str]:
    """A table, as text."""
    told = [f"{'ms':<56}{'samples':>9}{'p50':>9}{'p99':>9}{'p99.9':>9}"]
    for broker, lone in latency.lone.items():
        told.append(_line(f"lone command, {broker}: published to result", lone.through_ms))
        told.append(_line("    the same call, straight to the vendor", lone.vendor_ms))
        told.append(_line("    added by the worker", lone.added_ms))
    told += ["", f"capacity with publisher and reader beside it: {latency.capacity:,.0f} commands/s"]
    for load in latency.loads:
        what = f"at {load.share:.0%} of it, {load.rate:,.0f}/s: due to result"
        told.append(_line(what, load.through_ms))
        told.append(_line("    the same call, straight to the vendor", load.vendor_ms))
        told.append(_line("    published late, included above", load.late_ms))
        commands = load.through_ms.count
        told.append(f"    {load.calls:,} API calls, {commands / load.calls:,.1f} commands in each")
        if load.unanswered:
            told.append(f"    the worker did not keep up: {load.unanswered:,} were not answered in time")
    return told


def _line(what: str, times: Times) -> str:
    values = [times.p50, times.p99, times.p999]
    cells = "".join(f"{'–' if value is None else f'{value:.1f}':>9}" for value in values)
    return f"{what:<56}{times.count:>9,}{cells}"


def draw(latency: Latency, axes: Any) -> None:
    """On matplotlib axes: the percentiles of each load next to the vendor's."""
    rows = [("lone command", latency.lone["redis"].through_ms, latency.lone["redis"].vendor_ms)]
    rows += [(f"{load.share:.0%} load", load.through_ms, load.vendor_ms) for load in latency.loads]
    places = range(len(rows))
    for label, colour, column in (("published to result", "#2a6fbb", 1), ("the vendor alone", "#b0b0b0", 2)):
        for name, marker in (("p50", "o"), ("p99", "^"), ("p999", "s")):
            values = [getattr(row[column], name) or math.nan for row in rows]
            shown = f"{label}, {name.replace('p999', 'p99.9')}"
            axes.plot(places, values, marker=marker, color=colour, linestyle=":", label=shown)
    axes.set_xticks(places, [row[0] for row in rows])
    axes.set_yscale("log")
    axes.set_ylabel("ms")
    axes.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    end_well()
    latency = measure(print, quick=parser.parse_args().quick)
    print("", *lines(latency), sep="\n")


if __name__ == "__main__":
    main()
