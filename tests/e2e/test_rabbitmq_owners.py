"""Several workers on one queue, and what RabbitMQ sees of them."""

import os
import signal
import time

import pytest
from e2e_brokers import on_rabbitmq
from e2e_checks import all_settled
from e2e_commands import Script, arrays, lone
from e2e_processes import Program, environment, eventually
from e2e_rabbit import RabbitStage

pytestmark = [pytest.mark.redis_server, on_rabbitmq]

NAMES = [f"id{n:02}" for n in range(30)]
HEARTBEAT_S = 4
BUSY = ("sh", "-c", "while :; do :; done")


def test_thaws_before_rabbitmq_has_missed_it(stage: RabbitStage) -> None:
    """An owner that was frozen past its lease, but not past its heartbeats, is still the one whom RabbitMQ
    delivers to: it gives all back, in order, sends nothing more, and its successor goes on."""
    script, answers = Script(), stage.answers()
    stage.vendor.fault("latency", ms=100)
    owner = stage.worker(CALLS_PER_SECOND="30")
    owner.says("owning the partition")
    successor = stage.worker(CALLS_PER_SECOND="30")
    successor.says("standing by")
    stage.publish(lone(script.some_updates(400, NAMES)))
    eventually(lambda: answers.count > 0, "work going on")
    owner.signal(signal.SIGSTOP)
    successor.says("owning the partition", within_s=3.5)
    calls, taken = stage.vendor.count(), answers.count
    assert "call applied" not in successor.err
    owner.signal(signal.SIGCONT)
    owner.says("partition lost")
    all_settled(stage, script, answers)
    assert answers.count > taken
    # On a machine that is very busy the successor may lose it, too, and the first one be the next again.
    _, _, *later = owner.err.split("owning the partition")
    made = sum(said.count("call applied") for said in (successor.err, *later))
    # A call that was frozen on its way may still have arrived.
    assert calls + made <= stage.vendor.count() <= calls + made + 16


def test_two_workers_that_remember_for_themselves(stage: RabbitStage) -> None:
    """Without a common ledger both think that they own the partition. RabbitMQ delivers to one of them only,
    and to the other when that one ends."""
    del stage.settings["LEDGER_URL"]
    script, answers = Script(), stage.answers()
    both = [stage.worker(), stage.worker()]
    for worker in both:
        worker.says("kept in this process only")
        worker.says("owning the partition")
    stage.publish(lone(script.some_updates(200, NAMES)))
    all_settled(stage, script, answers)
    (first,) = [worker for worker in both if "call applied" in worker.err]
    (second,) = [worker for worker in both if worker is not first]
    assert first.stop() == 0
    stage.publish(lone(script.some_updates(200, NAMES)))
    all_settled(stage, script, answers)
    assert "call applied" in second.err


def test_heartbeats_under_load(stage: RabbitStage) -> None:
    """Both connections have heartbeats, and keep them up while worker and machine are busy for longer than
    RabbitMQ waits for one."""
    script, answers = Script(), stage.answers()
    worker = stage.worker(CALLS_PER_SECOND="20")
    worker.says("owning the partition")
    assert stage.rabbit.heartbeats(stage.vhost) == [HEARTBEAT_S, HEARTBEAT_S]
    others = [
        Program(f"busy{n}", BUSY, stage.folder, environment(stage.folder, {}))
        for n in range(2 * (os.cpu_count() or 1))
    ]
    until = time.monotonic() + 2.1 * HEARTBEAT_S
    try:
        while time.monotonic() < until:
            stage.publish(arrays(script.some_updates(4_000, NAMES), 1_000))
            eventually(lambda: answers.count == len(script.events), "all answers", 60.0)
    finally:
        for other in others:
            other.end()
    all_settled(stage, script, answers)
    assert "connection lost" not in worker.err
