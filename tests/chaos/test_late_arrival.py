"""A request whose sender froze in the middle of it arrives when a successor has long gone on."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from chaos_launcher import HALF_WRITTEN
from chaos_servers import LAUNCHER, Database, Databases, Launcher, launch
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_stage import Stage, Vendor

pytestmark = pytest.mark.redis_server

# Five times as long as it takes a successor to have the lease of two seconds, and to make a call.
LASTS_S = "20"


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    launcher = Launcher(LAUNCHER)
    yield launcher
    launcher.end()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as opened:
        vendor = opened.enter_context(Vendor(tmp_path, lasts_s=LASTS_S))
        databases = Databases(tmp_path)
        opened.callback(databases.end)
        stage = Stage(tmp_path, vendor, Database(databases, 0))
        opened.callback(stage.end)
        stage.settings["ACCOUNTS__DEFAULT__SIGNATURE_LASTS_S"] = LASTS_S
        yield stage


def test_a_late_arrival_undoes_nothing(stage: Stage, launcher: Launcher) -> None:
    """The vendor still accepts it then. The successor knows of it from the ledger: what the late arrival
    would undo waits until it cannot come any more, and other groups do not wait."""
    script, answers = Script(), stage.answers()
    numbers = script.pool("id")[:3]
    victim = launch(stage, launcher, HALF_WRITTEN, signal.SIGSTOP)
    victim.says("owning the partition")
    successor = launch(stage, launcher)
    successor.says("standing by")
    victim.arm()
    sent_by = time.monotonic()
    stage.publish(lone([script.update("id", "add", numbers)]))
    eventually(lambda: victim.down, "it froze in the middle of its request")
    stage.publish(lone([script.update("id", "delete", numbers[:2])]))
    successor.says("owning the partition")
    stage.publish(lone([script.update("other", "add", script.pool("other")[:3])]))
    eventually(lambda: answers.count, "the successor at work")
    victim.signal(signal.SIGCONT)
    eventually(lambda: "id" in stage.vendor.groups(), "the late arrival", within_s=1.0)
    assert time.monotonic() < sent_by + float(LASTS_S), "the test was too slow to show anything"
    all_settled(stage, script, answers)
    late, *rest = [call for call in stage.vendor.calls() if call["groupId"] == "id"]
    assert (late["operateType"], sorted(late["phones"]), late["applied"]) == (0, sorted(numbers), True)
    assert rest
    assert [victim.stop(), successor.stop()] == [0, 0]
