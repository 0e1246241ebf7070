"""Several partitions, shared by workers that come, go, die and freeze in the middle of the work."""

import json
import signal

import pytest
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Script
from e2e_partitions import Partitioned
from e2e_processes import eventually
from e2e_stage import Stage

pytestmark = [pytest.mark.redis_server, on_both_brokers]

PARTITIONS = 8
LIMIT = 100


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_workers_come_and_go(stage: Stage) -> None:
    """20,000 commands for 300 groups, while workers are killed, stopped and started: one result each, the
    groups as if all had been applied one by one, never more calls than allowed, and nothing left."""
    many, script, answers = Partitioned(stage, PARTITIONS, LIMIT), Script(), stage.answers()
    names = [f"id{n:03}" for n in range(300)]
    script.some_updates(20_000, names)
    stage.vendor.fault("latency", ms=10, jitter_ms=30)
    workers = [many.worker() for _ in range(3)]
    many.shared([3, 3, 2])
    for first in range(0, 20_000, 2_500):
        published = first + 2_500
        many.publish(script.events[first:published])
        # All of it may be done by now, where it takes long to publish.
        before, calls = answers.count, stage.vendor.count()
        eventually(lambda a=before, p=published: answers.count > a or answers.count == p, "results")
        enough = calls + LIMIT
        eventually(
            lambda c=enough, p=published: stage.vendor.count() >= c or answers.count == p, "work going on"
        )
        going = workers.pop(0)
        if first % 5_000:
            going.signal(signal.SIGTERM)
        else:
            going.kill()
        workers.append(many.worker())
    # Workers killed in a row are a crash loop, as far as anybody knows: few messages are let in at a time.
    all_settled(many, script, answers, within_s=120.0)
    assert set(answers.statuses().values()) == {"applied", "superseded"}
    assert stage.vendor.most_in_a_second() <= LIMIT
    many.shared([3, 3, 2])
    assert [worker.stop() for worker in workers] == [0, 0, 0]
    assert many.shares() == []


def test_each_gets_its_share(stage: Stage) -> None:
    """Who joins is given its share, who stops gives it back at once; another number of partitions is
    refused for as long as anybody works, and accepted when nobody does and nothing waits."""
    many, script, answers = Partitioned(stage, PARTITIONS, LIMIT), Script(), stage.answers()
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

    mistaken = stage.worker(many.settings | {"PARTITIONS": "4"})
    assert mistaken.ended() == 2
    # RabbitMQ does not tell what its consumers have in hand: there may be something.
    assert any(
        f"numbergroup: NUMBERGROUP_PARTITIONS is 4, but {reason}" in mistaken.err
        for reason in ("workers are at work with", "the one in force is 8")
    )
    assert [second.stop(), third.stop()] == [0, 0]
    many.publish(script.some_updates(1, names))
    mistaken = stage.worker(many.settings | {"PARTITIONS": "4"})
    assert mistaken.ended() == 2
    assert "let workers with NUMBERGROUP_PARTITIONS=8 finish them" in mistaken.err
    last = many.worker()
    all_settled(many, script, answers)
    assert last.stop() == 0
    fewer = stage.worker(many.settings | {"PARTITIONS": "4"})
    many.shared([4])
    assert fewer.stop() == 0


@pytest.mark.alone
def test_a_frozen_worker_thaws_behind_its_successors(stage: Stage) -> None:
    """Frozen past its leases, with work in hand, it sends nothing and settles nothing when it goes on: all
    of it was done by then. It joins again as a newcomer."""
    many, script, answers = Partitioned(stage, PARTITIONS, LIMIT), Script(), stage.answers()
    names = [f"id{n:02}" for n in range(80)]
    stage.vendor.fault("latency", ms=3_000)
    many.settings["LEASE_TTL_S"] = "5"
    frozen, other = (many.worker(MAX_IN_FLIGHT="2", TIMEOUT_S="4") for _ in range(2))
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
