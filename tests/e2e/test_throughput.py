"""The main job: thousands of commands in, few calls out, one answer each, the right groups."""

from collections import Counter

import pytest
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Event, Script, arrays, lone
from e2e_processes import eventually
from e2e_stage import Stage

pytestmark = [pytest.mark.redis_server, on_both_brokers]

CREATED = [f"key{n:02}" for n in range(12)]
OTHERS = [f"id{n:02}" for n in range(38)]


def waiting_commands(script: Script) -> list[Event]:
    """4,000 over 50 groups, some of which are created and updated by their groupKey."""
    script.some_updates(1_500, OTHERS)
    for name in CREATED:
        script.create(name)
    script.some_updates(4_000 - len(script.events), CREATED + OTHERS)
    return script.events[:]


@pytest.mark.parametrize("size", [1, 100])
def test_five_thousand_commands(stage: Stage, size: int) -> None:
    """Whether each comes alone or 100 come in an array: one result each, and groups as if they had been
    applied one by one, also where a groupKey is used before the group's id is known, and after.

    Those that wait already cost each group one replace or create, or one delete and one add.
    """
    script, answers = Script(), stage.answers()
    first = waiting_commands(script)
    stage.publish(lone(first) if size == 1 else arrays(first, size))
    # No answer may be given up on a busy machine.
    worker = stage.worker({"LEASE_TTL_S": "10"}, TIMEOUT_S="8")
    eventually(lambda: answers.count == len(first), "the first 4,000 results")
    # To look for a create whose answer is lost, or whose owner was too slow for its lease, changes nothing.
    changes = [call for call in stage.vendor.calls() if call["action"] != "listGroup"]
    calls = Counter(call["groupId"] for call in changes)
    assert len(calls) == len(CREATED + OTHERS), worker.err
    second = script.some_updates(1_000, CREATED + OTHERS)
    stage.publish(lone(second) if size == 1 else arrays(second, size))
    all_settled(stage, script, answers)

    assert set(answers.statuses().values()) == {"applied", "superseded"}
    assert (answers.alone if size == 1 else answers.in_arrays) == set(answers.of)
    assert not (answers.in_arrays if size == 1 else answers.alone)
    ids = {call["groupId"] for call in stage.vendor.calls() if call["action"] == "createGroup"}
    of_created = [answers.one(name).data for name in answers.of if answers.one(name).data.groupKey]
    assert {data.groupId for data in of_created} == ids
    assert len(ids) == len(CREATED)
    assert worker.stop() == 0
    assert max(calls.values()) <= 2


@pytest.mark.alone
def test_the_rate_limit_holds(stage: Stage) -> None:
    """No second has more calls than the account may make, all workers together, restarts included."""
    script, answers = Script(), stage.answers()
    names = [f"id{n:03}" for n in range(60)]
    for name in names:
        script.update(name, "add", script.pool(name)[:3])
    stage.publish(lone(script.events))
    first = stage.worker(CALLS_PER_SECOND="20")
    eventually(lambda: stage.vendor.count() >= 15, "work going on")
    first.kill()
    stage.worker(CALLS_PER_SECOND="20")
    all_settled(stage, script, answers)
    assert stage.vendor.most_in_a_second() <= 20
