"""The worker is killed in mid-work, as by a machine that loses its power, and started again."""

import pytest
from e2e_answers import Answers
from e2e_checks import all_settled
from e2e_commands import Script, arrays, lone
from e2e_processes import eventually
from e2e_stage import Stage
from e2e_unanswered import UnansweredCreates

pytestmark = pytest.mark.redis_server

ROUNDS = 5


def test_killed_again_and_again(stage: Stage) -> None:
    """Still one result for every command, right groups, no group created twice, and nothing left; also
    where commands came in arrays, and only some of an array were settled."""
    script, answers = Script(), Answers(stage.redis.client)
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


def test_unanswered_creates(unanswered_creates: UnansweredCreates) -> None:
    """Killed while nobody knows what became of two creates: the one that was applied is found and adopted,
    the other is made when its first request cannot take effect any more, 60 s after it was signed."""
    unanswered_creates.check()
