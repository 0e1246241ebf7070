"""A second worker stands by, and takes over when the first one goes."""

import signal
import time

import pytest
from e2e_answers import Answers
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_stage import Stage, Worker

pytestmark = pytest.mark.redis_server

NAMES = [f"id{n:02}" for n in range(30)]


def two_workers(stage: Stage) -> tuple[Worker, Worker]:
    owner = stage.worker({"LEASE_TTL_S": "3"}, TIMEOUT_S="2", CALLS_PER_SECOND="40")
    owner.says("owning the partition")
    standby = stage.worker({"LEASE_TTL_S": "3"}, TIMEOUT_S="2", CALLS_PER_SECOND="40")
    standby.says("standing by")
    return owner, standby


def test_takes_over_from_a_killed_worker(stage: Stage) -> None:
    """Within seconds of a SIGKILL in mid-work: the lease of 3 s runs out, nothing is lost or repeated."""
    script, answers = Script(), Answers(stage.redis.client)
    owner, standby = two_workers(stage)
    stage.publish(lone(script.some_updates(600, NAMES)))
    eventually(lambda: stage.vendor.count() >= 10, "work going on")
    began = time.monotonic()
    owner.kill()
    assert stage.backlog() > 0
    standby.says("owning the partition", within_s=4.0)
    print(f"took over {time.monotonic() - began:.1f} s after SIGKILL")
    all_settled(stage, script, answers)


def test_takes_over_from_a_stopped_worker(stage: Stage) -> None:
    """At once on SIGTERM, in mid-work: the lease is handed back, nobody waits for it to run out."""
    script, answers = Script(), Answers(stage.redis.client)
    owner, standby = two_workers(stage)
    stage.publish(lone(script.some_updates(600, NAMES)))
    eventually(lambda: stage.vendor.count() >= 10, "work going on")
    began = time.monotonic()
    owner.signal(signal.SIGTERM)
    standby.says("owning the partition", within_s=2.0)
    print(f"took over {time.monotonic() - began:.1f} s after SIGTERM")
    assert owner.ended() == 0
    all_settled(stage, script, answers)


def test_a_worker_that_stands_by_stops_at_once(stage: Stage) -> None:
    """SIGTERM to the one that only waits ends it, and the owner works on."""
    script, answers = Script(), Answers(stage.redis.client)
    owner, standby = two_workers(stage)
    assert standby.stop(within_s=3.0) == 0
    stage.publish(lone(script.some_updates(50, NAMES)))
    all_settled(stage, script, answers)
    assert owner.alive
