"""Creates that are never answered: what has to be waited for is the end of their signatures."""

from e2e_answers import Answers
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_stage import SIGNATURE_LASTS_S, Stage


class UnansweredCreates:
    """Begun early, and looked at when everything else was tested: on a stage of its own, vendor included.

    One create is applied and its answer lost, another is lost altogether; the worker is killed before
    it can find out which is which, and another one goes on.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._script, self._answers = Script(), Answers(stage.redis.client)
        self._failure: AssertionError | None = None

    def begin(self) -> None:
        """What fails here is told by `check`: it is none of the other tests' business."""
        try:
            self._begin()
        except AssertionError as error:
            self._failure = error

    def _begin(self) -> None:
        vendor = self._stage.vendor
        vendor.fault("lost", action="createGroup", times=1)
        vendor.fault("drop", action="createGroup", times=1)
        vendor.fault("status", action="listGroup", status=503)
        for name in ("applied", "never-applied"):
            self._script.create(name)
        self._script.some_updates(20, ["applied", "never-applied"])
        self._stage.publish(lone(self._script.events))
        worker = self._stage.worker(CALLS_PER_SECOND="4")
        eventually(lambda: vendor.count("createGroup") == 2, "two creates without an answer")
        worker.kill()
        vendor.heal()
        self._stage.worker()

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure
        all_settled(self._stage, self._script, self._answers, within_s=20.0)
        calls = self._stage.vendor.calls()
        lost, dropped, again = [call for call in calls if call["action"] == "createGroup"]
        assert (lost["fault"], lost["applied"]) == ("lost", True)
        assert (dropped["fault"], dropped["applied"]) == ("drop", False)
        assert again["at_ms"] - dropped["at_ms"] >= float(SIGNATURE_LASTS_S) * 1000
