"""A message that makes a real worker die: it does so a few times, and then it is found and put away."""

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import e2e_killer
import pytest
from e2e_answers import Answers, letters
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Event, Script, arrays, lone
from e2e_processes import environment, eventually
from e2e_stage import Stage, Worker

pytestmark = [pytest.mark.redis_server, on_both_brokers]

NAMES = [f"id{n:02}" for n in range(12)]
DEADLY = "id99"
CULPRIT = "85299999999"
CRASHES = "numbergroup:{0}:crashes"


class Supervisor:
    """Starts a worker again whenever it has died."""

    def __init__(self, stage: Stage, **variables: str) -> None:
        self._stage = stage
        self._variables = environment(stage.folder, stage.settings) | variables
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.worker = self._start()
        self.deaths = 0

    def _start(self) -> Worker:
        name = f"worker{len(self._stage.workers) + 1}"
        program = [sys.executable, e2e_killer.__file__, "run"]
        self._stage.workers.append(Worker(name, program, Path(self._stage.folder), self._variables))
        return self._stage.workers[-1]

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            if not self.worker.alive:
                self.worker.crashed = True
                self.deaths += 1
                self.worker = self._start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()

    def died(self, times: int) -> None:
        eventually(lambda: self.deaths >= times, f"{times} deaths")


def settled_in_spite_of(
    stage: Stage, message: Sequence[Event], culprit: Event, script: Script, answers: Answers, **killed_by: str
) -> Supervisor:
    """Good commands before the culprit, beside it in its message, behind it, and while it does its worst: all
    of them are applied."""
    behind = len(script.events)
    before = behind - len(message)
    stage.publish(lone(script.events[: before // 2]))
    stage.publish(arrays(script.events[before // 2 : before], 10))
    stage.publish(lone(message) if len(message) == 1 else arrays(message, len(message)))
    # No replacement of all members behind it: merged with that, it would not kill.
    script.update(DEADLY, "delete", script.pool(DEADLY)[:2])
    script.some_updates(200, NAMES)
    stage.publish([*arrays(script.events[behind : behind + 100], 10), *lone(script.events[behind + 100 :])])
    supervisor = Supervisor(stage, **killed_by)
    with supervisor.watching():
        supervisor.died(2)
        stage.publish(lone(script.some_updates(50, NAMES)))
        all_settled(stage, script, answers, within_s=180.0)
        eventually(lambda: history(stage) == 0, "nothing is suspected")
        deaths = supervisor.deaths
        stage.publish(lone(script.some_updates(200, NAMES)))
        all_settled(stage, script, answers)
        assert supervisor.deaths == deaths
    statuses = answers.statuses()
    assert {statuses[name] for name in statuses.keys() - {culprit["id"]}} <= {"applied", "superseded"}
    result = answers.one(culprit["id"]).data
    assert (result.status, result.error and result.error.kind) == ("failed", "crashed")
    return supervisor


def history(stage: Stage) -> int:
    """How many crashes are counted."""
    said: dict[str, Any] = json.loads(stage.redis.client.hget(CRASHES, "history") or b"{}")
    return int(said.get("crashes", 0))


def test_a_message_that_kills_whoever_reads_it(stage: Stage) -> None:
    """It takes `MAX_CRASHES` workers with it that had it alone in hand, and three before, gets its answer,
    and is kept as a dead letter; nothing else is lost, delayed for ever, or out of order."""
    stage.settings["MAX_CRASHES"] = "3"
    script, answers = Script(), stage.answers()
    script.some_updates(200, NAMES)
    culprit = script.refused(NAMES[0], [CULPRIT])
    killed_by = {e2e_killer.READING: CULPRIT}
    supervisor = settled_in_spite_of(stage, [culprit], culprit, script, answers, **killed_by)
    assert supervisor.deaths <= 3 + 3
    ((letter, body),) = letters(stage.redis.client)
    assert body == lone([culprit])[0]
    assert (letter.error.kind, letter.id) == ("crashed", answers.one(culprit["id"]).data.deadLetterId)
    for said in (
        "the previous owner of the partition crashed",
        "steps run one at a time, to find the message that causes it",
        "a message that crashes workers is dead-lettered",
        "no message is suspect any more",
    ):
        assert said in stage.output()


def test_a_command_of_an_array_that_kills_whoever_makes_its_call(stage: Stage) -> None:
    """So does one that is read well, and kills when its call is about to be made. It alone fails: the others
    of its message and of its group are applied, and its letter has its group. Who wants to lose fewer workers
    says so."""
    stage.settings["MAX_CRASHES"] = "3"
    script, answers = Script(), stage.answers()
    script.some_updates(200, NAMES)
    script.update(DEADLY, "add", script.pool(DEADLY)[:5])
    message = [
        script.update(DEADLY, "add", ["85299999991"]),
        script.refused(DEADLY, [CULPRIT]),
        script.update(DEADLY, "add", ["85299999992"]),
    ]
    killed_by = {e2e_killer.CALLING: CULPRIT}
    supervisor = settled_in_spite_of(stage, message, message[1], script, answers, **killed_by)
    assert supervisor.deaths <= 3 + 3
    ((letter, body),) = letters(stage.redis.client)
    assert json.loads(body) == message[1]
    assert (letter.error.kind, letter.group) == ("crashed", f"id:{DEADLY}")


def test_a_message_that_must_not_even_be_looked_at(stage: Stage) -> None:
    """One that kills also who looks for its id takes two more, and is put away without an answer."""
    stage.settings["MAX_CRASHES"] = "3"
    script, answers = Script(), stage.answers()
    body = lone([Script(seed=2).update(NAMES[0], "add", [CULPRIT])])[0]
    stage.publish([*lone(script.some_updates(50, NAMES)), body, *lone(script.some_updates(50, NAMES))])
    supervisor = Supervisor(stage, **{e2e_killer.LOOKING: CULPRIT})
    with supervisor.watching():
        all_settled(stage, script, answers, within_s=180.0)
        eventually(lambda: history(stage) == 0, "nothing is suspected")
    assert supervisor.deaths <= 3 + 3 + 2
    ((letter, kept),) = letters(stage.redis.client)
    assert (kept, letter.error.kind, letter.command) == (body, "crashed", None)
