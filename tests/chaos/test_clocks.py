"""Workers whose machine's clock is wrong, or is set back in the middle of the work."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chaos_work import Work
from e2e_commands import lone
from e2e_corpus import event
from e2e_processes import environment, eventually
from e2e_stage import Stage, Worker

pytestmark = pytest.mark.redis_server

CORRECTED = "the vendor's clock is not ours"
LASTS_S = 8
AN_HOUR_SLOW = -3600
LAUNCHER = Path(__file__).with_name("skewed_clock.py")


class Skew:
    """How wrong the clock of the workers is that were started with it."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        self._stage = stage
        self._file = stage.folder / "skew"
        self.set(seconds)

    def set(self, seconds: float) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self._file)

    def worker(self, **settings: str) -> Worker:
        stage = self._stage
        variables = environment(stage.folder, stage.settings | settings) | {"SKEW_FILE": str(self._file)}
        command = [sys.executable, str(LAUNCHER), "run"]
        stage.workers.append(Worker(f"worker{len(stage.workers) + 1}", command, stage.folder, variables))
        return stage.workers[-1]


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_an_hour_off(stage: Stage, seconds: float) -> None:
    """Signatures go by the vendor's `Date`, once it has refused one; leases and waits do not care, also when
    a worker on the right time stands by."""
    work = Work(stage)
    worker = Skew(stage, seconds).worker()
    worker.says("owning the partition")
    stage.worker().says("standing by")
    work.create()
    worker.says(CORRECTED)
    stage.vendor.fault("throttle", retry_after="1", times=1)
    stage.vendor.fault("status", status=503, times=6)
    work.publish()
    work.heals(worker)
    assert worker.err.count(CORRECTED) <= 2
    assert "lost" not in worker.err


def test_a_clock_that_steps(stage: Stage) -> None:
    """Back and forth in mid-work, by an hour and by a minute, while groups are parked: nothing waits an hour,
    no lease is lost."""
    work = Work(stage)
    skew = Skew(stage, 0)
    worker = skew.worker()
    work.create()
    for seconds in (-3600, 3600, 3540, 0):
        corrected = worker.err.count(CORRECTED)
        stage.vendor.fault("throttle", retry_after="1", times=1)
        stage.vendor.fault("status", status=503, times=4)
        work.publish()
        skew.set(seconds)
        work.publish()
        work.settled(within_s=15.0)
        if abs(seconds) == 3600:
            eventually(lambda seen=corrected: worker.err.count(CORRECTED) > seen, "another correction", 5.0)
        stage.vendor.heal()
    work.heals(worker)
    assert "lost" not in worker.err


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_an_expiry_by_a_wrong_clock(stage: Stage, seconds: float) -> None:
    """What has half an hour left is carried out, and what has expired half an hour ago is not, by a worker
    that is an hour off: all workers go by the clock of the server that they share."""
    answers = stage.answers()
    for name, left_s in (("early", 1800), ("late", -1800)):
        at = datetime.fromtimestamp(time.time() + left_s, UTC).isoformat()
        stage.publish([json.dumps(event(name, {"groupId": name}, expirytime=at)).encode()])
    Skew(stage, seconds).worker()
    eventually(lambda: answers.count == 2, "two answers")
    assert answers.statuses() == {"early": "applied", "late": "expired"}


def test_a_create_that_a_worker_on_another_clock_left_behind(stage: Stage) -> None:
    """Its successor makes the group when the lost request can take effect no more: not before, for then there
    might be two. (Its own clock, an hour slow, would have it that it cannot any more.)"""
    stage.settings["ACCOUNTS__DEFAULT__SIGNATURE_LASTS_S"] = str(LASTS_S)
    work = Work(stage)
    worker = Skew(stage, AN_HOUR_SLOW).worker()
    work.publish(5)
    work.settled()
    stage.vendor.fault("drop", action="createGroup", times=1)
    stage.vendor.fault("status", action="listGroup", status=503)
    stage.publish(lone([work.script.create("key0")]))
    eventually(lambda: stage.vendor.fired("drop"), "a create without an answer")
    worker.kill()
    stage.vendor.heal()
    stage.worker()
    work.settled(within_s=3 * LASTS_S)
    dropped, again = [call for call in stage.vendor.calls() if call["action"] == "createGroup"]
    assert (dropped["applied"], again["applied"]) == (False, True)
    assert again["at_ms"] - dropped["at_ms"] >= LASTS_S * 1000
