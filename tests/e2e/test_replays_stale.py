"""Letters that newer commands have overtaken: a replay acts where its command first stood."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from e2e_brokers import on_both_brokers
from e2e_cli import Shell
from e2e_commands import Script, lone
from e2e_letters import LETTERS
from e2e_processes import eventually
from e2e_replays import (
    all_answered,
    answered_again,
    lettered,
    names,
    nothing_kept,
    planned,
    replay,
    statuses,
)
from e2e_stage import Stage

pytestmark = [pytest.mark.redis_server, on_both_brokers]

BAD = "85298000001"
"""Refused at first. Once the vendor takes it, it is a number like any other."""
A, B, C, D = (f"8529100000{n}" for n in range(4))


def publish(stage: Stage, script: Script, since: int) -> None:
    """Those that were written down since."""
    stage.publish(lone(script.events[since:]))


def calls_of(stage: Stage, group: str) -> int:
    return sum(call["groupId"] == group for call in stage.vendor.calls())


def test_newer_commands_are_not_undone(stage: Stage, shell: Shell) -> None:
    """What later commands have decided is shown by `show` and by the plan, and left out; the group is as if
    the letter had stood at its own place, its command has a second result under another id, and where all
    was decided since it is superseded without a call."""
    script, answers = Script(), stage.answers()
    stage.worker()
    stage.vendor.fault("refuse_numbers", numbers=[BAD])
    for group, operation in [("added", "add"), ("replaced", "replace"), ("over", "add"), ("all", "add")]:
        script.update(group, operation, [A, BAD] if group == "all" else [A, B, BAD])
    publish(stage, script, 0)
    all_answered(script, answers)
    added, replaced, over, decided = names(script.events)
    kept = lettered(stage, 4)
    stage.vendor.heal()

    newer = len(script.events)
    script.update("added", "delete", [A])
    script.update("added", "add", [C])
    script.update("replaced", "add", [C])
    script.update("replaced", "delete", [B, D])
    script.update("over", "replace", [D])
    script.update("all", "delete", [A, BAD])
    publish(stage, script, newer)
    all_answered(script, answers)
    first = {name: answers.one(name) for name in kept}

    plan = planned(shell, "--all")
    stale = {name: (set(plan[one.id]["stale"]), plan[one.id]["superseded"]) for name, one in kept.items()}
    assert stale[added] == ({A}, False)
    assert stale[replaced] == ({B}, False)
    assert stale[over][1] is True
    assert stale[decided] == ({A, BAD}, True)
    shown = json.loads(shell("dead-letters", "show", kept[added].id, "--json", "--reveal").out)
    assert shown["replay"]["leftOut"] == [A]
    before = {group: calls_of(stage, group) for group in ("over", "all")}

    assert replay(shell, "--all") == 4
    answered_again(stage, script, answers, dict.fromkeys(kept, 1))
    assert stage.vendor.groups() == script.groups
    for name, result in first.items():
        assert (answers.of[name][0], result.data.status) == (result, "rejected")
    assert [statuses(answers, name)[1] for name in (added, replaced)] == ["applied"] * 2
    assert [statuses(answers, name)[1] for name in (over, decided)] == ["superseded"] * 2
    assert {group: calls_of(stage, group) for group in before} == before
    assert nothing_kept(stage)


def test_force(stage: Stage, shell: Shell) -> None:
    """With `--force` nothing is left out, and the command counts as the newest one: also for older letters
    that are replayed after it."""
    script, answers = Script(), stage.answers()
    stage.worker()
    stage.vendor.fault("code", code=1002, groupId="g", times=2)
    for operation, numbers in [("delete", [A, C]), ("add", [A, B])]:
        publish(stage, script, script.events.index(script.update("g", operation, numbers)))
        all_answered(script, answers)
    deleted, added = names(script.events)
    kept = lettered(stage, 2)
    newer = len(script.events)
    script.update("g", "add", [C])
    script.update("g", "delete", [A])
    publish(stage, script, newer)
    all_answered(script, answers)
    assert stage.vendor.groups() == {"g": {C}}

    assert replay(shell, kept[added].id, "--force") == 1
    answered_again(stage, script, answers, {added: 1})
    assert stage.vendor.groups() == {"g": {A, B, C}}
    assert replay(shell, kept[deleted].id) == 1
    answered_again(stage, script, answers, {added: 1, deleted: 1})
    assert statuses(answers, added) == ["rejected", "applied"]
    assert statuses(answers, deleted) == ["rejected", "superseded"]
    assert stage.vendor.groups() == {"g": {A, B, C}}
    assert nothing_kept(stage)


def test_a_group_that_was_created_anew(stage: Stage, shell: Shell) -> None:
    """Letters of a refused create, and of what followed it, do not touch the group that a later create has
    made under the same key; those of another, which nobody made since, make it, in their order."""
    script, answers = Script(), stage.answers()
    stage.worker()
    stage.vendor.fault("refuse_numbers", numbers=[BAD])
    for key in ("anew", "late"):
        script.create(key, [A, BAD])
        script.update(key, "add", [B])
        script.update(key, "delete", [A])
    publish(stage, script, 0)
    all_answered(script, answers)
    kept = lettered(stage, 6)
    stage.vendor.heal()
    publish(stage, script, script.events.index(script.create("anew", [C])))
    all_answered(script, answers)
    created = stage.vendor.count("createGroup")

    assert replay(shell, "--all") == 6
    answered_again(stage, script, answers, dict.fromkeys(kept, 1))
    assert stage.vendor.groups() == script.groups == {"anew": {C}, "late": {B, BAD}}
    of_anew, of_late = names(script.events)[:3], names(script.events)[3:6]
    assert {statuses(answers, name)[1] for name in of_anew} == {"superseded"}
    assert {statuses(answers, name)[1] for name in of_late} <= {"applied", "superseded"}
    assert stage.vendor.count("createGroup") == created + 1
    assert nothing_kept(stage)


@pytest.mark.parametrize("seed", range(2))
def test_replayed_while_newer_commands_come(stage: Stage, shell: Shell, seed: int) -> None:
    """Before, while and after the letters of many groups are replayed, newer commands for the same numbers
    come: every group ends as if all had been applied one by one, and none is answered too often."""
    script, answers = Script(seed), stage.answers()
    groups = [f"g{n:02}" for n in range(20)]
    stage.worker()
    refused = [number for group in groups for number in script.pool(group)[:6]]
    stage.vendor.fault("refuse_numbers", numbers=refused)
    for _ in range(4):
        since = len(script.events)
        script.some_updates(100, groups)
        publish(stage, script, since)
        all_answered(script, answers)
    kept = lettered(stage, stage.redis.client.xlen(LETTERS))
    assert len(kept) > 20
    stage.vendor.heal()

    def some_more() -> None:
        since = len(script.events)
        script.some_updates(10, groups[:10])
        publish(stage, script, since)

    some_more()
    with ThreadPoolExecutor() as pool:
        replayed = pool.submit(replay, shell, "--all")
        while not replayed.done():
            before = answers.count
            some_more()
            eventually(lambda a=before: answers.count > a, "work going on")
        assert replayed.result() == len(kept)
    some_more()
    answered_again(stage, script, answers, dict.fromkeys(kept, 1))
    assert stage.vendor.groups() == script.groups
    assert {status for name in kept for status in statuses(answers, name)[1:]} == {"applied", "superseded"}
    assert nothing_kept(stage)
