"""Accounts and groups that are paused in the middle of a backlog, and go on: all workers heed it."""

import json
from collections.abc import Collection
from typing import Any

import pytest
from e2e_answers import Answers
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_cli import Shell
from e2e_commands import Event, Script
from e2e_partitions import Partitioned
from e2e_processes import eventually
from e2e_replays import names
from e2e_stage import SECRET, Stage, Worker

pytestmark = [pytest.mark.redis_server, on_both_brokers]

OTHER_KEY = "other-key"
OURS, OTHERS = [f"g{n:02}" for n in range(40)], [f"o{n:02}" for n in range(10)]
PAUSED = "paused by an operator"


def begin(stage: Stage, script: Script) -> tuple[Partitioned, list[Worker]]:
    """Two workers with four partitions, in the middle of a backlog of two accounts."""
    stage.vendor.take_also(OTHER_KEY)
    of_other = {"ACCESS_KEY": OTHER_KEY, "ACCESS_SECRET": SECRET, "CALLS_PER_SECOND": "30", "TIMEOUT_S": "1"}
    same = {"BASE_URL": stage.vendor.url, "SIGNATURE_LASTS_S": "2"}
    stage.settings |= {f"ACCOUNTS__OTHER__{name}": value for name, value in (of_other | same).items()}
    many = Partitioned(stage, 4, 10)
    workers = [many.worker(MAX_IN_FLIGHT="2") for _ in range(2)]
    many.shared([2, 2])
    some_more(many, script, 400)
    eventually(lambda: stage.vendor.count() > 10, "work going on")
    assert many.backlog() > 0
    return many, workers


def some_more(many: Partitioned, script: Script, count: int) -> None:
    """So many commands of either account, in turn."""
    since = len(script.events)
    for _ in range(count // 2):
        script.some_updates(1, OURS)
        (event,) = script.some_updates(1, OTHERS)
        event["account"] = "other"
    many.publish(script.events[since:])


def heeded(shell: Shell, workers: Collection[Worker]) -> None:
    """Wait until all have heard it, and what was in flight then has ended: no report is of before."""
    for worker in workers:
        worker.says(PAUSED)
    before = {one["reported"] for one in status(shell)["workers"]}

    def quiet() -> bool:
        found = status(shell)
        reports = {one["reported"] for one in found["workers"]}
        return not reports & before and not found["accounts"]["default"]["inFlight"]

    eventually(quiet, "nothing in flight")


def status(shell: Shell) -> Any:
    done = shell("status", "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def answered(answers: Answers, events: Collection[Event]) -> None:
    """Wait until all of them have their results."""
    wanted = set(names(events))
    eventually(lambda: answers.count and wanted <= set(answers.of), f"{len(wanted)} results", 40.0)


def test_an_account(stage: Stage, shell: Shell) -> None:
    """While it is paused, no worker makes a call of it, nor does one that joins; the other account's commands
    are all carried out. Resumed, so are its own, and each was answered once."""
    script, answers = Script(), stage.answers()
    many, workers = begin(stage, script)
    assert shell("pause", "account", "default", "--reason", "at the vendor's wish").code == 0
    heeded(shell, workers)
    calls = own_calls(stage)
    some_more(many, script, 200)
    assert many.backlog() > 0
    assert workers.pop(0).stop() == 0
    many.worker().says(PAUSED)
    many.shared([2, 2])
    answered(answers, [event for event in script.events if "account" in event])
    assert own_calls(stage) == calls
    assert not {name for name in answers.of if len(answers.of[name]) > 1}
    assert shell("resume", "account", "default").code == 0
    all_settled(many, script, answers)
    assert own_calls(stage) > calls


def own_calls(stage: Stage) -> int:
    return sum(call["accessKey"] != OTHER_KEY for call in stage.vendor.calls())


def test_groups(stage: Stage, shell: Shell) -> None:
    """Three groups are paused, one of them another account's: no call of them is made, also when the worker
    that had them is killed, and all others are carried out. Resumed, so are they."""
    script, answers = Script(), stage.answers()
    many, workers = begin(stage, script)
    paused = {"g00", "g01", "o00"}
    for name in paused:
        account = "other" if name.startswith("o") else "default"
        assert shell("pause", "group", name, "--account", account).code == 0
    for worker in workers:
        eventually(lambda w=worker: w.err.count(PAUSED) == len(paused), "all of them are heard of")
    heeded(shell, workers)
    calls = calls_of(stage, paused)
    some_more(many, script, 200)
    held = [one for one in script.events if one["data"]["groupId"] in paused]
    workers.pop(0).kill()
    many.shared([4])
    answered(answers, [one for one in script.events if one not in held])
    assert calls_of(stage, paused) == calls
    assert {one["group"] for one in status(shell)["groups"]} >= {f"id:{name}" for name in paused}
    for name in paused:
        account = "other" if name.startswith("o") else "default"
        assert shell("resume", "group", f"id:{name}", "--account", account).code == 0
    all_settled(many, script, answers)
    assert calls_of(stage, paused) > calls


def calls_of(stage: Stage, groups: Collection[str]) -> int:
    return sum(call["groupId"] in groups for call in stage.vendor.calls())
