"""The vendor is down, throttles or refuses, and every worker at once has to live with it: on both brokers."""

import os
import re
from itertools import pairwise

import pytest
from e2e_answers import letters
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually, free_port
from e2e_stage import Stage, Vendor

pytestmark = [pytest.mark.redis_server, on_both_brokers]

OUTAGE_S = float(os.environ.get("OUTAGE_S", "30"))
"""How long the vendor is down; ten minutes are `OUTAGE_S=600`."""
OPENS_S = 6.0
"""Within that time every worker knows."""
NAMES = [f"id{n:02}" for n in range(12)]
LATENCY_MS = 150


@pytest.mark.alone
@pytest.mark.timeout(OUTAGE_S + 180)
def test_an_outage(stage: Stage) -> None:
    """503 for minutes, and two workers: nothing is dead-lettered; while the breaker is open one call is made
    at a time, ever more seldom, whatever is published; and when the vendor is back, all goes through."""
    script, answers = Script(), stage.answers()
    settings = {"BREAKER_MAX_OPEN_S": "5"}
    workers = [stage.worker(**settings), stage.worker(**settings)]
    stage.publish(lone(script.some_updates(40, NAMES)))
    all_settled(stage, script, answers)
    stage.vendor.fault("latency", ms=LATENCY_MS)
    stage.vendor.fault("status", status=503)
    began_ms = stage.vendor.now_ms()
    while (lasted_s := (stage.vendor.now_ms() - began_ms) / 1000) < OUTAGE_S:
        # At the rate of a producer that knows of nothing.
        stage.publish(lone(script.some_updates(20, NAMES)))
        eventually(lambda s=lasted_s: stage.vendor.now_ms() - began_ms > (s + 1) * 1000, "a second")
    calls = [call["at_ms"] for call in stage.vendor.calls(began_ms)]
    stage.vendor.heal()
    probes = [at_ms for at_ms in calls if at_ms > began_ms + OPENS_S * 1000]
    assert probes
    assert min((later - one for one, later in pairwise(probes)), default=1e9) >= LATENCY_MS
    assert len(probes) <= 1 + OUTAGE_S / 2.5
    all_settled(stage, script, answers, within_s=90.0)
    assert letters(stage.redis.client) == []
    assert set(answers.statuses().values()) <= {"applied", "superseded"}
    assert all(worker.alive for worker in workers)
    assert any("no more are made until a probe goes through" in worker.err for worker in workers)


@pytest.mark.alone
def test_one_call_in_ten_is_turned_away(stage: Stage) -> None:
    """429 with a `Retry-After` of a second, now and then: the limit holds in every second, nobody fails, and
    no call is made before the vendor said."""
    script, answers = Script(), stage.answers()
    stage.vendor.fault("throttle", retry_after="1", probability=0.1)
    stage.worker(CALLS_PER_SECOND="25", NUMBERS_PER_CALL="2")
    stage.worker(CALLS_PER_SECOND="25", NUMBERS_PER_CALL="2")
    stage.publish(lone(script.some_updates(400, NAMES)))
    all_settled(stage, script, answers, within_s=120.0)
    assert stage.vendor.fired("throttle") >= 3
    assert stage.vendor.most_in_a_second() <= 25
    assert letters(stage.redis.client) == []
    assert set(answers.statuses().values()) <= {"applied", "superseded"}


def test_three_refused_numbers_among_600_commands(stage: Stage) -> None:
    """Over 12 groups: the three commands that name them are rejected alone, every other one is applied."""
    script, answers = Script(), stage.answers()
    numbers = ["85298000001", "85298000002", "85298000003"]
    bad = []
    for name in NAMES:
        script.update(name, "replace", script.pool(name)[:20])
    for turn in range(588):
        name, pool = NAMES[turn % 12], script.pool(NAMES[turn % 12])
        if turn in (100, 290, 471):
            bad.append(script.refused(name, [numbers[len(bad)], pool[turn % 40]])["id"])
        else:
            script.update(name, "add" if turn % 3 else "delete", [pool[turn % 40], pool[(turn * 7) % 40]])
    assert len(script.events) == 600
    stage.publish(lone(script.events))
    stage.vendor.fault("refuse_numbers", numbers=numbers)
    worker = stage.worker()
    all_settled(stage, script, answers, within_s=60.0)
    statuses = answers.statuses()
    assert {name for name, status in statuses.items() if status == "rejected"} == set(bad)
    assert set(statuses.values()) == {"applied", "superseded", "rejected"}
    kept = [letter for letter, _ in letters(stage.redis.client)]
    assert sorted(letter.command.id for letter in kept if letter.command) == sorted(bad)
    assert {letter.error.kind for letter in kept} == {"refused"}
    assert worker.alive


def test_an_outage_of_one_account(stage: Stage) -> None:
    """One of two accounts is down, with more commands than the memory has room for: the other one's commands
    are applied as if nothing was, and its own when it is back."""
    of_other = {
        name.replace("__DEFAULT__", "__OTHER__"): value
        for name, value in stage.settings.items()
        if "__DEFAULT__" in name
    }
    port = free_port()
    dead = {"ACCOUNTS__DEFAULT__BASE_URL": f"http://127.0.0.1:{port}/api/pns/", "MAX_PENDING": "150"}
    script, answers = Script(), stage.answers()
    waiting = Script(seed=2)
    for event in waiting.some_updates(200, [f"dead{n}" for n in range(20)]):
        event["source"] = "dead"
        event["id"] = f"dead-{event['id']}"
    for event in script.some_updates(200, NAMES):
        event["account"] = "other"
    mixed = [event for both in zip(waiting.events, script.events, strict=True) for event in both]
    stage.publish(lone(mixed))
    worker = stage.worker(of_other | dead)
    eventually(lambda: answers.count >= 200, "the other account's answers")
    assert stage.vendor.groups() == script.groups
    assert set(answers.of) == {event["id"] for event in script.events}
    assert re.search("not connected", worker.err)
    assert letters(stage.redis.client) == []
    with Vendor(stage.folder, port) as back:
        eventually(lambda: answers.count >= 400, "the answers of the one that was down", 90.0)
        assert back.groups() == waiting.groups
