"""Workers that start on one partition at the same moment, and again when its owner dies."""

import pytest
from chaos_work import Work
from e2e_brokers import on_both_brokers
from e2e_processes import eventually
from e2e_stage import Stage

pytestmark = [pytest.mark.redis_server, on_both_brokers]

OWNING = "owning the partition"


@pytest.mark.alone
def test_two_that_start_at_the_same_moment(stage: Stage) -> None:
    """Exactly one of them owns the partition and works; when it is killed the other does, and one that is
    started then stands by in its turn."""
    work = Work(stage)
    work.publish()
    both = [stage.worker(CALLS_PER_SECOND="40"), stage.worker(CALLS_PER_SECOND="40")]
    for one in both:
        eventually(lambda one=one: OWNING in one.err or "standing by" in one.err, "its place")
    assert sum(one.err.count(OWNING) for one in both) == 1
    owner, other = sorted(both, key=lambda one: OWNING not in one.err)
    assert "call applied" not in other.err
    work.create()
    work.publish(4 * 60)
    calls = stage.vendor.count()
    eventually(lambda: stage.vendor.count() > calls, "work going on")
    owner.kill()
    late = stage.worker(CALLS_PER_SECOND="40")
    work.heals(other)
    assert other.err.count(OWNING) + late.err.count(OWNING) == 1
    assert stage.vendor.most_in_a_second() <= 40
