"""RabbitMQ dies, freezes, runs out of memory or patience: the worker sees it through by itself."""

from collections.abc import Iterator

import pytest
from e2e_brokers import on_rabbitmq
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_rabbit import Rabbit, RabbitStage
from e2e_stage import Worker

pytestmark = [pytest.mark.redis_server, on_rabbitmq]

NAMES = [f"id{n:02}" for n in range(20)]
ENOUGH_MEMORY = "0.4"


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """To be killed."""
    server = Rabbit(tmp_path_factory.mktemp("rabbit"))
    yield server
    server.kill()


def at_work(stage: RabbitStage, script: Script, calls_per_second: int = 20, begun: int = 10) -> Worker:
    for name in ("key0", "key1"):
        script.create(name)
    script.some_updates(400, [*NAMES, "key0", "key1"])
    stage.publish(lone(script.events))
    worker = stage.worker(CALLS_PER_SECOND=str(calls_per_second))
    eventually(lambda: stage.vendor.count() >= begun, "work going on")
    return worker


def more_work(stage: RabbitStage, script: Script) -> None:
    published = len(script.events)
    script.some_updates(50, NAMES)
    stage.publish(lone(script.events[published:]))


def test_killed_in_mid_work(stage: RabbitStage) -> None:
    """SIGKILL, and a new start seconds later: nothing is lost, and a result comes twice at most under its
    own id. A worker that is started while it is away waits for it, and ends when it is told to."""
    script, answers = Script(), stage.answers()
    worker = at_work(stage, script)
    stage.rabbit.kill()
    worker.says("no connection to the broker, trying again")
    late = stage.worker()
    impatient = stage.worker()
    for one in (late, impatient):
        one.says("connecting to RabbitMQ: unavailable")
    assert impatient.stop(within_s=5.0) == 0
    stage.rabbit.start()
    more_work(stage, script)
    all_settled(stage, script, answers)
    assert worker.alive
    late.says("standing by")


def test_frozen_for_longer_than_the_heartbeats(stage: RabbitStage) -> None:
    """The worker gives the connection up, and has another when RabbitMQ goes on."""
    script, answers = Script(), stage.answers()
    worker = at_work(stage, script)
    stage.rabbit.freeze()
    try:
        worker.says("connection lost")
    finally:
        stage.rabbit.thaw()
    more_work(stage, script)
    all_settled(stage, script, answers)
    assert worker.alive


def test_short_of_memory(stage: RabbitStage) -> None:
    """While RabbitMQ takes no results, nothing is acknowledged, and the worker says why."""
    script, answers = Script(), stage.answers()
    # There must be work left when RabbitMQ has been told.
    worker = at_work(stage, script, calls_per_second=6, begun=2)
    stage.rabbit.allow_memory("{absolute, 1}")
    try:
        worker.says("short of memory or disk")
        eventually(lambda: stage.vendor.count() >= 20, "calls going on")
        taken = answers.count
        eventually(lambda: stage.vendor.count() >= 25, "calls going on")
        assert answers.count == taken
        assert stage.backlog() > 0
    finally:
        stage.rabbit.allow_memory(ENOUGH_MEMORY)
    worker.says("takes results again")
    more_work(stage, script)
    all_settled(stage, script, answers)
    assert worker.alive


def test_out_of_patience(stage: RabbitStage) -> None:
    """Where RabbitMQ takes the queue from a consumer that acknowledges nothing for long, the worker has it
    back at once; and all is answered when the vendor is."""
    stage.rabbit.configure("consumer_timeout", 1_000)
    stage.rabbit.configure("channel_tick_interval", 500)
    script = Script()
    try:
        script.some_updates(50, NAMES)
        stage.vendor.fault("status", status=503)
        stage.publish(lone(script.events))
        worker = stage.worker()
        worker.says("channel lost, opening another")
    finally:
        stage.rabbit.configure("consumer_timeout", 1_800_000)
        stage.rabbit.configure("channel_tick_interval", 60_000)
    stage.vendor.heal()
    stage.disturbed = True
    all_settled(stage, script, stage.answers())
    assert worker.alive
