"""Several operators replay the same letters at the same time, and workers are killed in the middle of it."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from e2e_answers import Answers, letters
from e2e_brokers import on_both_brokers
from e2e_cli import Shell
from e2e_commands import Script, lone
from e2e_letters import LETTERS
from e2e_processes import eventually
from e2e_replays import all_answered, answered_again, lettered, nothing_kept, statuses
from e2e_stage import Stage

pytestmark = [pytest.mark.redis_server, on_both_brokers]

GROUPS = [f"g{n:02}" for n in range(16)]


def ten_at_once(stage: Stage, shell: Shell) -> int:
    """Two operators replay all, six some of it; one looks, and one mends what needs no mending. How many
    replays they say were their own."""
    kept = letters(stage.redis.client)
    (one, body), *_ = kept
    replay = ("dead-letters", "replay", "--yes", "--json")
    of_groups = [(*replay, "--group", group) for group in GROUPS[:4]]
    of_ids = [(*replay, *(letter.id for letter, _ in some)) for some in (kept[:20], kept[10:30])]
    edit = ("dead-letters", "edit", one.id, "--file", "-")
    several = [(*replay, "--all"), *of_groups, *of_ids, (*replay, "--all")]
    done = shell.at_once(*several, ("dead-letters", "list", "--json"), edit, stdin=body)
    assert {finished.code for finished in done} <= {0, 1}
    said = [json.loads(finished.out.splitlines()[-1]) for finished in done[: len(several)] if finished.out]
    return sum(each["replayed"] for each in said)


def killed_in_the_middle(stage: Stage, shell: Shell) -> int:
    """All at once, while the worker that owns the partition is killed, and another goes on. How many replays
    there were."""
    owner = next(worker for worker in stage.workers if worker.alive)
    stage.worker().says("standing by")
    calls = stage.vendor.count()
    with ThreadPoolExecutor() as pool:
        operators = pool.submit(ten_at_once, stage, shell)
        eventually(lambda: stage.vendor.count() > calls, "replays going on")
        owner.kill()
        return operators.result()


def test_each_is_replayed_once(stage: Stage, shell: Shell) -> None:
    """Replayed while the vendor refuses them still, so that some operators find letters of replays, and again
    when it does not, with a kill each time: for each replay there is one result under an id of its own, each
    letter has its whole history, and in the end the groups are right and nothing is left."""
    script, answers = Script(), stage.answers()
    stage.worker()
    refused = [number for group in GROUPS for number in script.pool(group)[:8]]
    stage.vendor.fault("refuse_numbers", numbers=refused)
    for _ in range(3):
        since = len(script.events)
        script.some_updates(120, GROUPS)
        stage.publish(lone(script.events[since:]))
        all_answered(script, answers)
    first = lettered(stage, stage.redis.client.xlen(LETTERS))
    assert len(first) > 40

    replayed = killed_in_the_middle(stage, shell)
    assert replayed >= len(first)
    again = answered(stage, script, answers, replayed)
    assert set(again) == set(first)
    second = lettered(stage, stage.redis.client.xlen(LETTERS))
    assert 0 < len(second) <= len(first)
    for name, letter in second.items():
        assert again[name] == letter.replays == len(letter.history)
        assert letter.attempts > letter.replays

    stage.vendor.heal()
    stage.vendor.fault("latency", ms=100)
    assert killed_in_the_middle(stage, shell) == len(second)
    answered_again(stage, script, answers, again + Counter(second.keys()), within_s=60.0)
    assert {statuses(answers, name)[-1] for name in first} <= {"applied", "superseded"}
    assert stage.vendor.groups() == script.groups
    assert nothing_kept(stage)


def answered(stage: Stage, script: Script, answers: Answers, replayed: int) -> Counter[str]:
    """Wait until so many replays are answered; how many of each command."""
    expected = len(script.events) + replayed
    eventually(lambda: answers.count >= expected, "a result for every replay", 60.0)
    again = Counter({name: len(of) - 1 for name, of in answers.of.items() if len(of) > 1})
    answered_again(stage, script, answers, again)
    assert again.total() == replayed
    return again
