"""Several partitions, shared by workers that come, go, die and freeze in the middle of the work."""

import json
import signal
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Event, Script
from e2e_processes import eventually
from e2e_rabbit import RabbitStage
from e2e_stage import Stage, Worker

from contracts import publish
from contracts.names import command_queue, command_stream

pytestmark = [pytest.mark.redis_server, on_both_brokers]

PARTITIONS = 8
LIMIT = 100
SETTINGS = {"PARTITIONS": str(PARTITIONS), "LEASE_TTL_S": "2"}


class Partitioned:
    """The stage with its commands in eight partitions."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.vendor, self.redis = stage.vendor, stage.redis

    def worker(self, **account: str) -> Worker:
        return self._stage.worker(SETTINGS, **({"CALLS_PER_SECOND": str(LIMIT)} | account))

    def publish(self, events: Sequence[Event]) -> None:
        """Each to its group's partition, in order."""
        for event in events:
            self._stage.numbers.update(event["data"]["phones"])
        assert publish(events, self._stage.settings["BROKER_URL"], partitions=PARTITIONS) == len(events)

    def backlog(self) -> int:
        if isinstance(self._stage, RabbitStage):
            queues = [command_queue(number, PARTITIONS) for number in range(PARTITIONS)]
            return sum(self._stage.rabbit.messages(self._stage.vhost, queue) for queue in queues)
        return sum(self.redis.client.xlen(command_stream(number)) for number in range(PARTITIONS))

    def shares(self) -> list[int]:
        """How many partitions each owner has, most first."""
        names = [f"numbergroup:{{{number}}}:lease" for number in range(PARTITIONS)]
        owners = Counter(owner for owner in self.redis.client.mget(names) if owner)
        return sorted(owners.values(), reverse=True)

    def shared(self, shares: Iterable[int], within_s: float = 10.0) -> None:
        wanted = list(shares)
        eventually(lambda: self.shares() == wanted, f"partitions shared as {wanted}", within_s)


def test_workers_come_and_go(stage: Stage) -> None:
    """20,000 commands for 300 groups, while workers are killed, stopped and started: one result each, the
    groups as if all had been applied one by one, never more calls than allowed, and nothing left."""
    many, script, answers = Partitioned(stage), Script(), stage.answers()
    names = [f"id{n:03}" for n in range(300)]
    script.some_updates(20_000, names)
    stage.vendor.fault("latency", ms=10, jitter_ms=30)
    workers = [many.worker() for _ in range(3)]
    many.shared([3, 3, 2])
    for first in range(0, 20_000, 2_500):
        many.publish(script.events[first : first + 2_500])
        before, calls = answers.count, stage.vendor.count()
        eventually(lambda a=before: answers.count > a, "results")
        eventually(lambda c=calls: stage.vendor.count() >= c + LIMIT, "work going on")
        going = workers.pop(0)
        if first % 5_000:
            going.signal(signal.SIGTERM)
        else:
            going.kill()
        workers.append(many.worker())
    all_settled(many, script, answers)
    assert set(answers.statuses().values()) == {"applied", "superseded"}
    assert stage.vendor.most_in_a_second() <= LIMIT
    many.shared([3, 3, 2])
    assert [worker.stop() for worker in workers] == [0, 0, 0]
    assert many.shares() == []


def test_each_gets_its_share(stage: Stage) -> None:
    """Who joins is given its share, who stops gives it back at once; another number of partitions is
    refused for as long as anybody works, and accepted when nobody does and nothing waits."""
    many, script, answers = Partitioned(stage), Script(), stage.answers()
    names = [f"id{n:02}" for n in range(50)]
    first = many.worker()
    many.shared([8])
    second = many.worker()
    many.shared([4, 4])
    many.publish(script.some_updates(500, names))
    third = many.worker()
    many.shared([3, 3, 2])
    handed_over = [json.loads(line) for line in first.err.splitlines() if "partition handed over" in line]
    assert len(handed_over) == 5
    assert len({(line["partition"], line["owner"]) for line in handed_over}) == 5
    many.publish(script.some_updates(500, names))
    first.signal(signal.SIGTERM)
    many.shared([4, 4], within_s=3.0)
    assert first.ended() == 0
    all_settled(many, script, answers)

    mistaken = stage.worker(SETTINGS | {"PARTITIONS": "4"})
    assert mistaken.ended() == 2
    # RabbitMQ does not tell what its consumers have in hand: there may be something.
    assert any(
        f"numbergroup: NUMBERGROUP_PARTITIONS is 4, but {reason}" in mistaken.err
        for reason in ("workers are at work with", "the one in force is 8")
    )
    assert [second.stop(), third.stop()] == [0, 0]
    many.publish(script.some_updates(1, names))
    mistaken = stage.worker(SETTINGS | {"PARTITIONS": "4"})
    assert mistaken.ended() == 2
    assert "let workers with NUMBERGROUP_PARTITIONS=8 work them off" in mistaken.err
    last = many.worker()
    all_settled(many, script, answers)
    assert last.stop() == 0
    fewer = stage.worker(SETTINGS | {"PARTITIONS": "4"})
    many.shared([4])
    assert fewer.stop() == 0


def test_a_frozen_worker_thaws_behind_its_successors(stage: Stage) -> None:
    """Frozen past its leases, with work in hand, it sends nothing and settles nothing when it goes on: all
    of it was done by then. It joins again as a newcomer."""
    many, script, answers = Partitioned(stage), Script(), stage.answers()
    names = [f"id{n:02}" for n in range(80)]
    stage.vendor.fault("latency", ms=700)
    frozen, other = (many.worker(MAX_IN_FLIGHT="2") for _ in range(2))
    many.shared([4, 4])
    many.publish(script.some_updates(1_000, names))
    # All slots are taken: it is not frozen in the very act of sending, which no lease could take back.
    eventually(lambda: stage.vendor.count() >= 4, "two calls of each in flight")
    frozen.signal(signal.SIGSTOP)
    assert answers.count == 0
    many.shared([8])
    stage.vendor.heal()
    all_settled(many, script, answers)
    calls = stage.vendor.count()
    frozen.signal(signal.SIGCONT)
    eventually(lambda: frozen.err.count("partition lost") == 4, "all that it had is lost")
    many.shared([4, 4])
    assert stage.vendor.count() == calls
    assert answers.count == len(script.events)
    many.publish(script.some_updates(200, names))
    all_settled(many, script, answers)
    assert [frozen.stop(), other.stop()] == [0, 0]
    assert stage.vendor.most_in_a_second() <= LIMIT
