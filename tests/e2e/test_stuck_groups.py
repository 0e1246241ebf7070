"""A group that is stuck with more commands than it may have: put away in order, and brought back in order."""

import json
import signal
from collections.abc import Sequence

import pytest
from e2e_answers import Answers, letters
from e2e_brokers import on_both_brokers
from e2e_cli import Shell
from e2e_commands import Event, Script, lone
from e2e_letters import LETTERS
from e2e_processes import eventually
from e2e_replays import (
    all_answered,
    answered_again,
    names,
    nothing_kept,
    replay,
    statuses,
    waiting,
)
from e2e_stage import Stage, Worker

pytestmark = [pytest.mark.redis_server, on_both_brokers]

STUCK = "stuck"
OTHERS = [f"g{n}" for n in range(10)]
SETTINGS = {"GROUP_BACKLOG": "20"}
RESUMED = "resumed by an operator"
PAUSED, FAILING = "paused", "failing"


def begin(stage: Stage, shell: Shell, script: Script, how: str) -> Worker:
    """A worker for whom the group is stuck from its first command on: an operator has paused it, or the
    vendor fails for it alone, as is known when others are served after it has failed."""
    worker = stage.worker(SETTINGS)
    worker.says("owning the partition")
    if how == PAUSED:
        assert shell("pause", "group", STUCK).code == 0
        worker.says("paused by an operator")
    else:
        stage.vendor.fault("status", status=503, groupId=STUCK)
        stage.publish(lone(script.some_updates(1, [STUCK])))
        eventually(lambda: f"id:{STUCK}" in stuck(shell, "parked"), "it has failed")
    return worker


def mixed(script: Script, count: int) -> list[Event]:
    """So many commands for the group that is stuck, and as many for others, in turn."""
    since = len(script.events)
    for _ in range(count):
        script.some_updates(1, [STUCK])
        script.some_updates(1, OTHERS)
    return script.events[since:]


def of_stuck(events: Sequence[Event]) -> list[str]:
    return names(event for event in events if event["data"]["groupId"] == STUCK)


def put_away(stage: Stage, script: Script, answers: Answers) -> list[str]:
    """All is answered: the others' commands are carried out, those of the stuck group are quarantined, in
    order, and so are their letters. Their names."""
    all_answered(script, answers)
    mine = of_stuck(script.events)
    found = answers.statuses()
    assert {found[name] for name in mine} == {"failed"}
    assert {found[name] for name in found.keys() - set(mine)} <= {"applied", "superseded"}
    errors = [answers.one(name).data.error for name in mine]
    assert {error.kind for error in errors if error} == {"quarantined"}
    assert [name for name in answers.of if name in set(mine)] == mine
    kept = [letter for letter, _ in letters(stage.redis.client)]
    assert [letter.command.id for letter in kept if letter.command] == mine
    assert {(letter.error.kind, letter.group) for letter in kept} == {("quarantined", f"id:{STUCK}")}
    assert STUCK not in stage.vendor.groups()
    return mine


def stuck(shell: Shell, how: str) -> list[str]:
    """The groups of which `status` says so."""
    found = json.loads(shell("status", "--json").out)
    return [one["group"] for one in found["groups"] if one["state"] == how]


def let_go(stage: Stage, shell: Shell, worker: Worker) -> None:
    """Heal the vendor, and resume the group; the worker has heard of it."""
    stage.vendor.heal()
    before = worker.err.count(RESUMED)
    assert shell("resume", "group", STUCK).code == 0
    eventually(lambda: worker.err.count(RESUMED) > before, "the worker has heard that it is resumed")


def brought_back(stage: Stage, shell: Shell, script: Script, answers: Answers, mine: Sequence[str]) -> None:
    """New commands go through at once; what was put away is replayed: the groups are as if nothing had
    happened, and nothing is left of it."""
    newer = script.some_updates(12, [STUCK])
    stage.publish(lone(newer))
    all_answered(script, answers)
    found = answers.statuses()
    assert {found[name] for name in names(newer)} <= {"applied", "superseded"}
    assert replay(shell, "--group", STUCK, "--kind", "quarantined") == len(mine)
    answered_again(stage, script, answers, dict.fromkeys(mine, 1))
    assert {statuses(answers, name)[1] for name in mine} <= {"applied", "superseded"}
    assert stage.vendor.groups() == script.groups
    assert nothing_kept(stage)


@pytest.mark.parametrize("how", [PAUSED, FAILING])
def test_put_away_and_brought_back(stage: Stage, shell: Shell, how: str) -> None:
    """Of 200 commands for a stuck group among 200 for others, those for others are applied, and these are put
    away in order. Resumed, the group takes new commands at once, and a replay of the others undoes none."""
    script, answers = Script(), stage.answers()
    worker = begin(stage, shell, script, how)
    stage.publish(lone(mixed(script, 200)))
    mine = put_away(stage, script, answers)
    if how == FAILING:  # one that is paused as well is shown as paused
        assert stuck(shell, "quarantined") == [f"id:{STUCK}"]
    let_go(stage, shell, worker)
    brought_back(stage, shell, script, answers, mine)
    assert stuck(shell, "quarantined") == []


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_the_next_worker_knows(stage: Stage, shell: Shell, ending: signal.Signals) -> None:
    """Who takes the partition over puts away from the very first command on, and lets go when told."""
    script, answers = Script(), stage.answers()
    owner = begin(stage, shell, script, FAILING)
    standby = stage.worker(SETTINGS)
    standby.says("standing by")
    stage.publish(lone(mixed(script, 60)))
    put_away(stage, script, answers)
    owner.signal(ending)
    standby.says("owning the partition")
    stage.publish(lone(mixed(script, 5)))
    mine = put_away(stage, script, answers)
    assert len(mine) == 66
    let_go(stage, shell, standby)
    brought_back(stage, shell, script, answers, mine)


def test_killed_while_it_puts_away(stage: Stage, shell: Shell) -> None:
    """The next worker goes on where it was, in order; also when that one is killed while replays go on."""
    script, answers = Script(), stage.answers()
    owner = begin(stage, shell, script, PAUSED)
    standby = stage.worker(SETTINGS)
    standby.says("standing by")
    events = mixed(script, 200)
    stage.publish(lone(events[:40]))
    eventually(lambda: stage.vendor.groups(), "work going on")
    stage.publish(lone(events[40:]))
    eventually(lambda: stage.redis.client.xlen(LETTERS), "it puts away")
    owner.kill()
    standby.says("owning the partition")
    mine = put_away(stage, script, answers)
    let_go(stage, shell, standby)
    stage.vendor.fault("latency", ms=300)
    assert replay(shell, "--group", STUCK) == 200
    calls = stage.vendor.count()
    eventually(lambda: stage.vendor.count() > calls or not waiting(stage), "replays going on")
    standby.kill()
    stage.vendor.heal()
    stage.worker(SETTINGS)
    answered_again(stage, script, answers, dict.fromkeys(mine, 1))
    assert stage.vendor.groups() == script.groups
    assert nothing_kept(stage)


def test_replayed_before_it_is_let_go(stage: Stage, shell: Shell) -> None:
    """Replays of a group that is paused still wait for it, however many they are: nothing is put away twice,
    and when it is let go, they are applied in their place."""
    script, answers = Script(), stage.answers()
    worker = begin(stage, shell, script, PAUSED)
    stage.publish(lone(mixed(script, 30)))
    mine = put_away(stage, script, answers)
    assert replay(shell, "--group", STUCK) == 30
    stage.publish(lone(script.some_updates(10, OTHERS)))
    all_answered(script, answers)
    assert waiting(stage) == 30
    assert letters(stage.redis.client) == []
    let_go(stage, shell, worker)
    answered_again(stage, script, answers, dict.fromkeys(mine, 1))
    assert stage.vendor.groups() == script.groups
    assert nothing_kept(stage)
