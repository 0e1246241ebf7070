"""Creates whose answer was lost."""

import pytest
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_stage import SIGNATURE_LASTS_S, Stage

pytestmark = [pytest.mark.redis_server, on_both_brokers]


def test_unanswered_creates(stage: Stage) -> None:
    """Killed while nobody knows what became of two creates: the one that was applied is found and adopted,
    the other is made when its first request cannot take effect any more by its signature's time."""
    script, answers = Script(), stage.answers()
    stage.vendor.fault("lost", action="createGroup", times=1)
    stage.vendor.fault("drop", action="createGroup", times=1)
    stage.vendor.fault("status", action="listGroup", status=503)
    for name in ("applied", "never-applied"):
        script.create(name)
    script.some_updates(20, ["applied", "never-applied"])
    stage.publish(lone(script.events))
    worker = stage.worker(CALLS_PER_SECOND="4")
    eventually(lambda: stage.vendor.count("createGroup") == 2, "two creates without an answer")
    worker.kill()
    stage.vendor.heal()
    stage.worker()
    all_settled(stage, script, answers)
    lost, dropped, again = [call for call in stage.vendor.calls() if call["action"] == "createGroup"]
    assert (lost["fault"], lost["applied"]) == ("lost", True)
    assert (dropped["fault"], dropped["applied"]) == ("drop", False)
    assert again["at_ms"] - dropped["at_ms"] >= float(SIGNATURE_LASTS_S) * 1000
