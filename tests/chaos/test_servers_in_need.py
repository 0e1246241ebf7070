"""Servers that answer and refuse: short of memory, of disk, of the right type of a key."""

import pytest
from chaos_work import Work
from e2e_answers import letters
from e2e_brokers import on_both_brokers, on_rabbitmq
from e2e_commands import lone
from e2e_corpus import GROUP, event
from e2e_processes import eventually
from e2e_rabbit import RabbitStage
from e2e_stage import Stage

pytestmark = pytest.mark.redis_server

DEAD_LETTERS = "numbergroup:{0}:dead-letters"
UNHEARD_OF = "1000000GB"
USUAL = "50MB"


@on_both_brokers
def test_redis_is_full(stage: Stage) -> None:
    """`maxmemory` is reached in mid-work: no call is made that could not be counted, what makes room goes on,
    and when there is memory so does all the rest."""
    work = Work(stage)
    worker = work.begin(CALLS_PER_SECOND="40")
    stage.redis.client.config_set("maxmemory", 1)
    worker.says("getting permits from the rate limiter: unavailable")
    calls = stage.vendor.count()
    eventually(lambda: worker.err.count("OutOfMemoryError") >= 3, "further refusals")
    # One that had its permit may have been on its way.
    assert stage.vendor.count() <= calls + 1
    assert stage.backlog()
    stage.redis.client.config_set("maxmemory", 0)
    work.heals(worker)


@on_both_brokers
def test_redis_cannot_write_to_disk(stage: Stage) -> None:
    """A snapshot failed, so that Redis refuses all changes, leases too (MISCONF): nothing is lost, and the
    worker says what Redis says until a snapshot succeeds."""
    client = stage.redis.client
    work = Work(stage)
    worker = work.begin(CALLS_PER_SECOND="40")
    in_the_way = stage.folder / "dump.rdb"
    in_the_way.mkdir()
    client.config_set("save", "3600 1")
    client.bgsave()
    eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "a failed snapshot")
    eventually(lambda: worker.err.count("MISCONF") >= 5, "Redis refuses")
    assert stage.backlog()
    in_the_way.rmdir()
    client.bgsave()
    eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", "a snapshot")
    work.heals(worker)


@on_rabbitmq
def test_rabbitmq_is_short_of_disk(stage: RabbitStage) -> None:
    """While the alarm lasts RabbitMQ takes no results: nothing is acknowledged, the worker says why, and
    goes on by itself."""
    work = Work(stage)
    worker = work.begin(CALLS_PER_SECOND="6")
    stage.rabbit.want_disk(UNHEARD_OF)
    try:
        worker.says("short of memory or disk")
        taken, calls = work.answers.count, stage.vendor.count()
        eventually(lambda: stage.vendor.count() >= calls + 3, "calls going on")
        assert work.answers.count == taken
        assert stage.backlog()
    finally:
        stage.rabbit.want_disk(USUAL)
    worker.says("takes results again")
    work.heals(worker)


@on_both_brokers
def test_a_dead_letter_that_cannot_be_written(stage: Stage) -> None:
    """Its message stays in the broker, unanswered, until the letter is durable; then it has both, once."""
    work = Work(stage)
    worker = stage.worker()
    work.create()
    stage.redis.client.set(DEAD_LETTERS, "in the way")
    bad = lone([event("bad", {"phones": []})])
    stage.publish(bad)
    eventually(lambda: worker.err.count("WRONGTYPE") >= 3, "its complaints")
    assert stage.backlog() == 1
    assert "bad" not in work.answers.of
    stage.redis.client.delete(DEAD_LETTERS)
    eventually(lambda: not stage.backlog(), "an empty queue")
    assert [body for _, body in letters(stage.redis.client)] == bad
    eventually(lambda: work.answers.count == len(work.script.events) + 1, "its answer")
    assert work.answers.one("bad").data.status == "rejected"
    assert GROUP not in stage.vendor.groups()
    del work.answers.of["bad"]
    work.heals(worker)
