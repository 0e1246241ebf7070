"""The worker is killed in mid-work, as by a machine that loses its power, and started again."""

import pytest
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Script, arrays, lone
from e2e_processes import eventually
from e2e_stage import Stage

pytestmark = [pytest.mark.redis_server, on_both_brokers]

ROUNDS = 5


def test_killed_again_and_again(stage: Stage) -> None:
    """Still one result for every command, right groups, no group created twice, and nothing left; also
    where commands came in arrays, and only some of an array were settled."""
    script, answers = Script(), stage.answers()
    stage.vendor.fault("latency", ms=60, jitter_ms=60)
    for number in range(ROUNDS):
        one_killed_round(stage, script, number)
    stage.worker()
    # Killed between the intent to create and the request, it has to wait until that cannot arrive any more.
    all_settled(stage, script, answers, within_s=90.0)
    assert stage.vendor.count("createGroup") >= 4 * ROUNDS


def one_killed_round(stage: Stage, script: Script, number: int) -> None:
    before, published = stage.vendor.count(), len(script.events)
    names = [f"id{n:02}" for n in range(20)] + [f"key{number}{n}" for n in range(4)]
    for name in names[20:]:
        script.create(name)
    script.some_updates(150, names)
    new = script.events[published:]
    stage.publish(arrays(new, 10) if number % 2 else lone(new))
    worker = stage.worker(CALLS_PER_SECOND="40")
    eventually(lambda: stage.vendor.count() >= before + 15, "work going on")
    worker.kill()
    assert stage.backlog() > 0, "it was killed after its work, not in the middle"


@pytest.mark.slow
def test_killed_after_each_start(stage: Stage) -> None:
    """As by a deployment that restarts in a loop, while the vendor is down: no command is condemned, for none
    was in a step that kills."""
    stage.settings["MAX_CRASHES"] = "3"
    script, answers = Script(), stage.answers()
    names = [f"id{n:02}" for n in range(20)]
    stage.publish(lone([script.update(name, "add", script.pool(name)[:2]) for name in names]))
    stage.vendor.fault("status", status=503)
    for _ in range(10):
        before = stage.vendor.count()
        worker = stage.worker()
        eventually(lambda before=before: stage.vendor.count() > before, "a call", within_s=90.0)
        worker.kill()
    assert stage.backlog() > 0
    stage.vendor.heal()
    stage.worker()
    all_settled(stage, script, answers, within_s=180.0)
    assert set(answers.statuses().values()) == {"applied"}
