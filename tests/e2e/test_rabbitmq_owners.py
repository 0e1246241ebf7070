"""Several workers on one queue, and what RabbitMQ sees of them."""

import os
import signal
import time
from functools import partial

import pytest
from e2e_answers import letters
from e2e_brokers import on_rabbitmq
from e2e_checks import all_settled
from e2e_commands import Script, arrays, lone
from e2e_processes import NUMBERGROUP, Program, environment, eventually
from e2e_rabbit import RabbitStage

from numbergroup_contracts.commands import LIST

pytestmark = [pytest.mark.redis_server, on_rabbitmq]

NAMES = [f"id{n:02}" for n in range(30)]
HEARTBEAT_S = 4
NOTES = "numbergroup:{0}:partial"
BUSY = ("sh", "-c", "while :; do :; done")


def operate(stage: RabbitStage, *arguments: str) -> None:
    """Return when the command has succeeded: on a busy machine the ledger may not answer in time."""
    settings = environment(stage.folder, stage.settings)

    def succeeds() -> bool:
        return Program("operator", [*NUMBERGROUP, *arguments], stage.folder, settings).ended() == 0

    eventually(succeeds, f"numbergroup {' '.join(arguments)}")


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


@pytest.mark.slow
def test_killed_while_a_group_is_stuck(stage: RabbitStage) -> None:
    """Whatever was answered behind the stuck group's command is not answered again, however often the worker
    dies: one result for each command, a repeat's included, and one letter for each malformed message."""
    script, answers = Script(), stage.answers(every_repeat=True)
    operate(stage, "pause", "group", "stuck")
    head = script.update("stuck", "add", ["85211111111"])
    good = script.some_updates(200, NAMES)
    malformed = [b"not JSON %d" % n for n in range(20)]
    invalid = [{"specversion": "1.0", "id": f"bad-{n}", "source": "e2e", "type": "what"} for n in range(20)]
    listing = {**head, "id": "list", "type": LIST, "data": {}}
    stage.publish(lone([head, *good]) + malformed + lone([*invalid, listing, good[0]]))

    def answered(expected: int, without_answer: int) -> bool:
        notes = stage.redis.client.hlen(NOTES)
        return answers.count >= expected and notes == expected + without_answer

    expected = 200 + 20 + 2
    for death in range(4):
        worker = stage.worker()
        worker.says("owning the partition")
        # Everything before it has come again when it is answered.
        stage.publish(lone(script.some_updates(1, NAMES)))
        expected += 1
        eventually(partial(answered, expected, len(malformed)), "all are answered, and noted")
        assert answers.count == expected, f"after {death} deaths"
        assert len(letters(stage.redis.client)) == 40
        if death < 3:
            worker.kill()
    operate(stage, "resume", "group", "stuck")
    eventually(lambda: not stage.backlog(), "an empty queue")
    eventually(lambda: answers.count > expected, "the stuck command is answered")
    assert {name: len(some) for name, some in answers.of.items() if len(some) > 1} == {good[0]["id"]: 2}
    assert stage.vendor.groups() == script.groups
    assert not stage.redis.client.exists(NOTES)


def test_two_workers_that_remember_for_themselves(stage: RabbitStage) -> None:
    """Without a common ledger both think that they own the partition. RabbitMQ delivers to one of them only,
    and to the other when that one ends."""
    del stage.settings["LEDGER_URL"]
    script, answers = Script(), stage.answers()
    both = [stage.worker(), stage.worker()]
    for worker in both:
        worker.says("NUMBERGROUP_LEDGER_URL is not set")
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
