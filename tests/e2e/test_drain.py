"""SIGTERM: no new calls, those in flight finish, the rest stays in the broker for the next worker."""

import signal
import time
from collections.abc import Sequence

import pytest
from e2e_answers import Answers
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Event, Script, lone
from e2e_processes import eventually
from e2e_stage import Stage

pytestmark = [pytest.mark.redis_server, on_both_brokers]

NAMES = [f"id{n:02}" for n in range(60)]
# A call that was on its way to the vendor when the signal came may arrive a moment after it.
ON_ITS_WAY_MS = 300


def either_answered_or_waiting(stage: Stage, answers: Answers, events: Sequence[Event]) -> None:
    waiting = stage.waiting()
    left = set(waiting)
    assert waiting == [body for body in lone(events) if body in left], "out of order"
    for event in events:
        (body,) = lone([event])
        assert len(answers.of.get(event["id"], ())) + (body in left) == 1, event["id"]


def test_drains(stage: Stage) -> None:
    """Exit code 0, no call after the signal, and each command either has its result or is still in the
    broker, in order, where the next worker finds it. A second SIGTERM changes nothing."""
    script, answers = Script(), stage.answers()
    script.create("key")
    script.some_updates(600, [*NAMES, "key"])
    stage.publish(lone(script.events))
    stage.vendor.fault("latency", ms=900)
    worker = stage.worker({"LEASE_TTL_S": "3"}, CALLS_PER_SECOND="10", TIMEOUT_S="1.9")
    eventually(lambda: answers.count > 0, "some settled, some in flight")
    signalled_ms = time.time_ns() // 1_000_000
    worker.signal(signal.SIGTERM)
    worker.says("stopping")
    worker.signal(signal.SIGTERM)
    assert worker.ended(within_s=25.0) == 0

    calls = stage.vendor.calls()
    assert [one for one in calls if one["at_ms"] > signalled_ms + ON_ITS_WAY_MS] == []
    settled = answers.count
    assert 0 < settled < len(script.events)
    either_answered_or_waiting(stage, answers, script.events)

    stage.vendor.heal()
    stage.worker()
    all_settled(stage, script, answers)


def test_drains_when_the_vendor_hangs(stage: Stage) -> None:
    """A call that nobody answers is waited for no longer than its timeout, and its commands go back."""
    script, answers = Script(), stage.answers()
    script.some_updates(200, NAMES)
    stage.publish(lone(script.events))
    stage.vendor.fault("latency", ms=3_600_000)
    worker = stage.worker(CALLS_PER_SECOND="20", TIMEOUT_S="1.5")
    eventually(lambda: stage.vendor.count() >= 5, "calls in flight")
    assert worker.stop(within_s=5.0) == 0
    assert answers.count == 0
    assert stage.backlog() == len(script.events)

    stage.vendor.heal()
    stage.worker()
    all_settled(stage, script, answers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drains_an_idle_worker(stage: Stage, number: signal.Signals) -> None:
    """With nothing to do it ends at once, with exit code 0, however often it is signalled until then."""
    worker = stage.worker()
    worker.says("owning the partition")

    def signalled_until_it_ended() -> bool:
        worker.signal(number)
        return not worker.alive

    eventually(signalled_until_it_ended, "the end of the worker", 3.0)
    assert worker.ended() == 0


def test_stops_while_redis_is_away(stage: Stage) -> None:
    """SIGTERM ends a worker that waits for its broker, before its first connection too."""
    lost = stage.worker()
    lost.says("owning the partition")
    stage.redis.kill()
    lost.says("lease not renewed")
    never_connected = stage.worker()
    never_connected.says("unavailable")
    assert never_connected.stop(within_s=3.0) == 0
    assert lost.stop(within_s=25.0) == 0
