"""Load by a schedule, which waits for nobody: who publishes, and who reads the results, as processes of their
own. A command's time runs from when it was due, not from when it was sent, so that a slow answer is not
followed by a merciful pause (coordinated omission). Times are of the machine's one monotonic clock.
"""

import gc
import time
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing import get_context
from random import Random
from typing import Any

import orjson
import redis

from bench.bulk import Pipe, encoded
from bench.workload import Workload
from numbergroup_contracts.names import REPLY_STREAM, command_stream

_SLEEP_S = 0.0005
_READ_AT_ONCE = 1_000
_PORTION = 250
_PATIENCE_S = 20.0
_START_S = 60.0


@dataclass(frozen=True)
class Observed:
    """Of a load: the seconds from due to answered of every command that was answered, in their order; how
    many were published, and how late each of them was sent."""

    taken_s: list[float]
    published: int
    late_s: list[float]


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """When commands are due, in seconds from the beginning: at random, none minding the others (Poisson)."""
    random = Random(seed)
    gaps = (random.expovariate(rate) for _ in range(round(rate * seconds)))
    return list(accumulate(gaps))


def observe(redis_url: str, work: Workload, due: list[float], meanwhile: Callable[[], object]) -> Observed:
    """Publish each command of `work` when it is `due`. `meanwhile` is called again and again until the last
    of them."""
    client: Any = redis.Redis.from_url(redis_url, protocol=2)
    cursor = last_result(client)
    with ProcessPoolExecutor(2, get_context("spawn")) as others:
        reading = others.submit(_collect, redis_url, cursor, len(due), due[-1] + _PATIENCE_S)
        publishing: Future[tuple[float, list[float]]] = others.submit(_publish, redis_url, work, due)
        while not publishing.done():
            meanwhile()
        began, late_s = publishing.result()
        taken = {index: at - began - due[index] for index, at in reading.result()}
    client.close()
    return Observed([taken[index] for index in sorted(taken)], len(due), late_s)


def saturated(redis_url: str, work: Workload, seconds: float, waiting: int) -> float:
    """How many commands are answered in a second while so many wait all the time, published by the same
    means, and read by the same. Some seconds of it pass before it counts."""
    client: Any = redis.Redis.from_url(redis_url, protocol=2)
    with ProcessPoolExecutor(2, get_context("spawn")) as others:
        publishing = others.submit(_keep_full, redis_url, work, waiting, 2 * seconds)
        reading = others.submit(_collect, redis_url, last_result(client), work.commands, 2 * seconds)
        published = publishing.result()
        found = [at for _, at in reading.result()]
    client.close()
    assert found, "nothing was answered"
    begin, end = found[0] + seconds / 2, found[0] + 1.5 * seconds
    enough = published < work.commands
    assert enough, f"{work.commands:,} commands were not enough to keep the worker busy"
    return (bisect_right(found, end) - bisect_right(found, begin)) / seconds


def last_result(client: Any) -> bytes:
    """After which the next results come."""
    newest = client.xrevrange(REPLY_STREAM, count=1)
    return newest[0][0] if newest else b"0-0"


def _publish(redis_url: str, work: Workload, due: list[float]) -> tuple[float, list[float]]:
    """When it began, and how late each was sent."""
    entries = [encoded(event) for event in work.events()]
    gc.collect()
    gc.disable()
    pipe = Pipe(redis_url)
    began, sent, late = time.monotonic(), 0, []
    while sent < len(due):
        now = time.monotonic() - began
        upto = bisect_right(due, now, sent)
        if upto > sent:
            pipe.send(entries[sent:upto])
            late += [now - at for at in due[sent:upto]]
            sent = upto
        else:
            time.sleep(max(_SLEEP_S, due[sent] - now))
    pipe.close()
    return began, late


def _keep_full(redis_url: str, work: Workload, waiting: int, seconds: float) -> int:
    """How many were published, so that about so many wait, and never none."""
    client: Any = redis.Redis.from_url(redis_url, protocol=2)
    entries = [encoded(event) for event in work.events()]
    pipe = Pipe(redis_url)
    stream, sent, until = command_stream(0), 0, time.monotonic() + seconds
    while sent < len(entries) and time.monotonic() < until:
        if client.xlen(stream) < waiting:
            pipe.send(entries[sent : sent + _PORTION])
            sent += _PORTION
        else:
            time.sleep(0.002)
    pipe.close()
    return sent


def _collect(redis_url: str, cursor: bytes, commands: int, most_s: float) -> list[tuple[int, float]]:
    """Which results came when, until all are there, or for so long from the first one on."""
    client: Any = redis.Redis.from_url(redis_url, protocol=2)
    gc.disable()
    found: list[tuple[float, list[Any]]] = []
    count, until = 0, time.monotonic() + _START_S
    while count < commands and time.monotonic() < until:
        answer = client.xread({REPLY_STREAM: cursor}, count=_READ_AT_ONCE, block=500)
        now = time.monotonic()
        if answer and not found:
            until = now + most_s
        for _, rows in answer:
            cursor = rows[-1][0]
            found.append((now, rows))
            count += len(rows)
    return [(_index(fields[b"event"]), now) for now, rows in found for _, fields in rows]


def _index(result: bytes) -> int:
    """The place of its command in the workload."""
    data = orjson.loads(result)["data"]
    assert data["status"] in ("applied", "superseded"), result
    return int(data["command"]["id"].rpartition("-")[2])
