"""A second worker stands by, and takes over when the first one goes."""

import signal

import pytest
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_stage import Stage, Worker

pytestmark = [pytest.mark.redis_server, on_both_brokers]

NAMES = [f"id{n:02}" for n in range(30)]


def two_workers(stage: Stage) -> tuple[Worker, Worker]:
    owner = stage.worker({"LEASE_TTL_S": "3"}, TIMEOUT_S="2", CALLS_PER_SECOND="40")
    owner.says("owning the partition")
    standby = stage.worker({"LEASE_TTL_S": "3"}, TIMEOUT_S="2", CALLS_PER_SECOND="40")
    standby.says("standing by")
    return owner, standby


def test_takes_over_from_a_killed_worker(stage: Stage) -> None:
    """Within seconds of a SIGKILL in mid-work: the lease of 3 s runs out, nothing is lost or repeated."""
    script, answers = Script(), stage.answers()
    owner, standby = two_workers(stage)
    stage.publish(lone(script.some_updates(600, NAMES)))
    eventually(lambda: stage.vendor.count() >= 10, "work going on")
    owner.kill()
    assert stage.backlog() > 0
    standby.says("owning the partition", within_s=4.0)
    all_settled(stage, script, answers)


def test_takes_over_from_a_stopped_worker(stage: Stage) -> None:
    """At once on SIGTERM, in mid-work: the lease is handed back, nobody waits for it to run out."""
    script, answers = Script(), stage.answers()
    owner, standby = two_workers(stage)
    stage.publish(lone(script.some_updates(600, NAMES)))
    eventually(lambda: stage.vendor.count() >= 10, "work going on")
    owner.signal(signal.SIGTERM)
    standby.says("owning the partition", within_s=2.0)
    assert owner.ended() == 0
    all_settled(stage, script, answers)


@pytest.mark.alone
def test_a_frozen_worker_thaws_behind_its_successor(stage: Stage) -> None:
    """An owner that was frozen in mid-work, past its lease, does no harm when it goes on: it sends nothing
    more, settles nothing twice, and stands by."""
    script, answers = Script(), stage.answers()
    stage.vendor.fault("latency", ms=200)
    owner, standby = two_workers(stage)
    stage.publish(lone(script.some_updates(600, NAMES)))
    eventually(lambda: answers.count > 0, "work going on")
    owner.signal(signal.SIGSTOP)
    standby.says("owning the partition", within_s=4.0)
    before = answers.count
    eventually(lambda: answers.count > before, "its successor at work")
    owner.signal(signal.SIGCONT)
    owner.says("partition lost")
    stage.publish(lone(script.some_updates(100, NAMES)))
    all_settled(stage, script, answers)
    assert standby.stop() == 0
    eventually(lambda: owner.err.count("owning the partition") == 2, "it takes its turn again", 4.0)
    assert stage.vendor.most_in_a_second() <= 40


def test_a_worker_that_stands_by_stops_at_once(stage: Stage) -> None:
    """SIGTERM to the one that only waits ends it, and the owner works on."""
    script, answers = Script(), stage.answers()
    owner, standby = two_workers(stage)
    assert standby.stop(within_s=3.0) == 0
    stage.publish(lone(script.some_updates(50, NAMES)))
    all_settled(stage, script, answers)
    assert owner.alive
