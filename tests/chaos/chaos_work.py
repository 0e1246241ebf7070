"""Work for the tests of faults: groups that are there, and changes that go on while something is wrong."""

from collections.abc import Callable

from e2e_answers import Answers
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_stage import Stage, Worker
from fault_proxy import FaultProxy

Between = Callable[[Stage, str], FaultProxy]
"""Puts a proxy between the stage's workers and the server of a setting, such as `BROKER_URL`."""

NAMES = [f"id{n:02}" for n in range(12)]
CREATED = ["key0", "key1"]
SOME = 60


class Work:
    """What was published so far on one stage, and what came back."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.script = Script()
        self.answers: Answers = stage.answers()

    def publish(self, count: int = SOME) -> None:
        """So many more changes of groups by id and by key."""
        known = NAMES + [name for name in CREATED if name in self.script.groups]
        self.stage.publish(lone(self.script.some_updates(count, known)))

    def create(self) -> None:
        """Two groups by key, which no later fault leaves in doubt."""
        self.stage.publish(lone([self.script.create(name) for name in CREATED]))
        self.settled()

    def begin(self, **account: str) -> Worker:
        """A worker that has created groups, and is in the middle of more work than it can do at once."""
        worker = self.stage.worker(**account)
        self.create()
        before = self.stage.vendor.count()
        self.publish(4 * SOME)
        eventually(lambda: self.stage.vendor.count() > before, "work going on")
        return worker

    def settled(self, within_s: float = 40.0) -> None:
        """One outcome each, right groups, nothing pending."""
        all_settled(self.stage, self.script, self.answers, within_s)

    def heals(self, worker: Worker) -> None:
        """After the fault: more work, and all of it comes to its end in the same worker."""
        self.publish()
        self.settled()
        assert worker.alive
        assert "unexpected error" not in worker.err
