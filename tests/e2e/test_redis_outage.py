"""Redis, as the broker or as the ledger only, dies and comes back; the worker sees it through by itself."""

import pytest
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_stage import Open

pytestmark = [pytest.mark.redis_server, on_both_brokers]

NAMES = [f"id{n:02}" for n in range(20)]


@pytest.mark.parametrize("renewals_missed", [0, 10])
def test_redis_killed_in_mid_work(open_stage: Open, renewals_missed: int) -> None:
    """One result for every command after SIGKILL of a Redis that keeps what it acknowledged, whether it is
    back at once or after the lease has run out."""
    stage = open_stage(durable=True)
    script, answers = Script(), stage.answers()
    for name in ("key0", "key1"):
        script.create(name)
    script.some_updates(500, [*NAMES, "key0", "key1"])
    stage.publish(lone(script.events))
    worker = stage.worker(CALLS_PER_SECOND="20")
    eventually(lambda: stage.vendor.count() >= 10, "work going on")
    stage.redis.kill()
    missed = "lease not renewed"
    eventually(lambda: worker.err.count(missed) >= renewals_missed, "the worker misses its lease")
    stage.redis.start()
    assert stage.backlog() > 0
    published = len(script.events)
    script.some_updates(100, NAMES)
    stage.publish(lone(script.events[published:]))
    all_settled(stage, script, answers)
    assert worker.alive
