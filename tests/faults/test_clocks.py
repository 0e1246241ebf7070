"""Workers whose machine's clock is wrong, or is set back in the middle of the work."""

import sys
from pathlib import Path

import pytest
from e2e_processes import environment, eventually
from e2e_stage import Stage, Worker
from faults_work import Work

pytestmark = pytest.mark.redis_server

CORRECTED = "the vendor's clock is not ours"
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


def test_an_expiry_by_a_wrong_clock(stage: Stage) -> None:
    """What expires in half an hour does not expire for a worker that is an hour ahead: workers go by the time
    of the server that they share."""
    work = Work(stage)
    skew = Skew(stage, 3600)
    work.create_by(skew.worker())
