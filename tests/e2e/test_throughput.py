"""The main job: thousands of commands in, few calls out, one answer each, the right groups."""

from collections import Counter

import pytest
from e2e_answers import Answers
from e2e_commands import Script, arrays, lone
from e2e_processes import eventually
from e2e_stage import Stage

pytestmark = pytest.mark.redis_server

CREATED = [f"key{n:02}" for n in range(12)]
OTHERS = [f"id{n:02}" for n in range(38)]


def make_commands(script: Script) -> int:
    """5,000 commands over 50 groups; returns how many of them come before the first answer."""
    script.some_updates(1_500, OTHERS)
    for name in CREATED:
        script.create(name)
    script.some_updates(2_488, CREATED + OTHERS)
    first = len(script.events)
    script.some_updates(1_000, CREATED + OTHERS)
    return first


@pytest.mark.parametrize("size", [1, 100])
def test_main_job(stage: Stage, size: int) -> None:
    script, answers = Script(), Answers(stage.redis.client)
    first = make_commands(script)

    def bodies(events):
        return lone(events) if size == 1 else arrays(events, size)

    stage.publish(bodies(script.events[:first]))
    import time

    t = time.time()
    w = stage.worker()
    eventually(lambda: answers.count >= first, "first")
    print("first", time.time() - t)
    calls = Counter(c["groupId"] for c in stage.vendor.calls())
    print(
        Counter(c["fault"] for c in stage.vendor.calls()), len(stage.vendor.calls()), Counter(calls.values())
    )
    t = time.time()
    stage.publish(bodies(script.events[first:]))
    eventually(lambda: answers.count >= 5000, "second")
    print("second", time.time() - t, stage.vendor.count())
    eventually(lambda: stage.backlog() == 0, "empty")
    assert stage.vendor.groups() == script.groups
    print(Counter(answers.statuses().values()))
    print(w.stop())
    print(w.err[-2000:], w.out)
