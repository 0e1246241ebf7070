"""Letters of workers that run, and the operator who replays them."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from e2e_answers import Answers, letters
from e2e_checks import answered_once
from e2e_cli import Shell
from e2e_commands import Event, Script
from e2e_letters import COUNT, DEAD_LETTER_GROUPS, LETTERS, REPLAYS
from e2e_processes import eventually
from e2e_stage import Stage

from numbergroup_contracts.dead_letters import DeadLetter


def lettered(stage: Stage, count: int, within_s: float = 30.0) -> dict[str, DeadLetter]:
    """So many letters, in order, by their commands' ids, when they are there."""
    eventually(lambda: stage.redis.client.xlen(LETTERS) == count, f"{count} letters", within_s)
    found = [letter for letter, _ in letters(stage.redis.client)]
    named = {letter.command.id: letter for letter in found if letter.command}
    assert len(named) == count, "a command has two letters, or a letter no command"
    return named


def all_answered(script: Script, answers: Answers, within_s: float = 40.0) -> None:
    """Wait until every command has its first result, and no other."""
    eventually(lambda: answers.count >= len(script.events), "a result for every command", within_s)
    answered_once(script, answers)


def replay(shell: Shell, *what: str) -> int:
    """Replay these letters; how many it says have been given to the workers."""
    done = shell("dead-letters", "replay", *what, "--yes", "--json")
    assert done.code == 0, done.err
    return int(json.loads(done.out)["replayed"])


def planned(shell: Shell, *what: str) -> dict[str, Any]:
    """What `--dry-run` says of each letter, by its id."""
    done = shell("dead-letters", "replay", *what, "--dry-run", "--json", "--reveal")
    assert done.code == 0, done.err
    *each, _ = (json.loads(line) for line in done.out.splitlines())
    return {one["id"]: one for one in each}


def answered_again(
    stage: Stage, script: Script, answers: Answers, again: Mapping[str, int], within_s: float = 40.0
) -> None:
    """Wait until every command has one result, and one more for each time that it was replayed (`again`);
    no two results have the same id, and nothing waits in a log."""
    expected = Counter(event["id"] for event in script.events) + Counter(again)
    eventually(lambda: answers.count >= expected.total(), f"{expected.total()} results", within_s)
    eventually(lambda: not stage.backlog() and not waiting(stage), "nothing that waits", 10.0)
    assert answers.count == expected.total()
    assert {name: len(results) for name, results in answers.of.items()} == expected
    ids = [result.id for results in answers.of.values() for result in results]
    assert len(set(ids)) == len(ids)


def waiting(stage: Stage) -> int:
    """How many replays are not settled."""
    return int(stage.redis.client.xlen(REPLAYS))


def nothing_kept(stage: Stage) -> bool:
    """Whether there is no letter, and nothing is counted or written down for the sake of one."""
    client = stage.redis.client
    kept = (COUNT, DEAD_LETTER_GROUPS, f"{LETTERS}:index", "numbergroup:dead-letters:fingerprints")
    streams = client.xlen(LETTERS) + client.xlen(REPLAYS)
    return not streams and not client.exists(*kept) and not client.keys("numbergroup:since:*")


def statuses(answers: Answers, name: str) -> list[str]:
    """Of the command's results, in order."""
    return [result.data.status.value for result in answers.of[name]]


def names(events: Iterable[Event]) -> list[str]:
    return [event["id"] for event in events]


def audited(shell: Shell) -> list[str]:
    """What operators have done, the first action first."""
    done = shell("dead-letters", "audit", "--json")
    return [json.loads(line)["action"] for line in reversed(done.out.splitlines())]
