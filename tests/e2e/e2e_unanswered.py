"""Creates that are never answered: the one thing that has to be waited for, for a minute."""

from pathlib import Path

from e2e_answers import Answers
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_stage import RedisServer, Stage, Vendor

_SIGNATURE_ACCEPTED_S = 60.0


class UnansweredCreates:
    """Begun early, and looked at when everything else was tested: on a stage of its own, vendor included.

    One create is applied and its answer lost, another is lost altogether; the worker is killed before
    it can find out which is which, and another one goes on.
    """

    def __init__(self, folder: Path, vendor: Vendor) -> None:
        self.stage = Stage(folder, vendor, RedisServer(folder, durable=False))
        self._script, self._answers = Script(), Answers(self.stage.redis.client)
        vendor.fault("lost", action="createGroup", times=1)
        vendor.fault("drop", action="createGroup", times=1)
        for name in ("applied", "never-applied"):
            self._script.create(name)
        self._script.some_updates(20, ["applied", "never-applied"])
        self.stage.publish(lone(self._script.events))
        worker = self.stage.worker(CALLS_PER_SECOND="4")
        eventually(lambda: vendor.count("createGroup") == 2, "two creates without an answer")
        worker.kill()
        assert self._answers.count == 0
        self.stage.worker()

    def check(self) -> None:
        vendor = self.stage.vendor
        all_settled(self.stage, self._script, self._answers, within_s=_SIGNATURE_ACCEPTED_S + 20)
        assert (vendor.fired("lost"), vendor.fired("drop")) == (1, 1)
        lost, dropped, again = [call for call in vendor.calls() if call["action"] == "createGroup"]
        assert (lost["applied"], dropped["applied"], again["applied"]) == (True, False, True)
        assert again["at_ms"] - dropped["at_ms"] >= _SIGNATURE_ACCEPTED_S * 1000
