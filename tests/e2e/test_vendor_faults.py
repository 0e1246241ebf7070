"""The vendor is slow, throttled, broken or wrong for a while: nothing is lost, and the groups are right."""

from typing import Any

import pytest
from e2e_answers import Answers, letters
from e2e_checks import all_settled
from e2e_commands import Script, arrays, lone
from e2e_processes import free_port
from e2e_stage import SECRET, Stage, Vendor

pytestmark = pytest.mark.redis_server

NAMES = [f"id{n:02}" for n in range(10)]
CREATED = ["key0", "key1"]

# Aimed at updates where the answer leaves in doubt whether the call was applied: a create in doubt is looked
# for until its signature has expired, for which the tests of kills have the patience.
UPDATES = {"action": "updateGroup"}
FAULTS: dict[str, list[dict[str, Any]]] = {
    "errors": [
        {"kind": "status", "status": 503, "times": 25, **UPDATES},
        {"kind": "code", "code": 10009, "times": 5},
        {"kind": "code", "code": 4711, "times": 2},
        {"kind": "code_as_string"},
        {"kind": "redirect", "times": 1},
    ],
    "throttling": [
        {"kind": "throttle", "retry_after": "1", "times": 2},
        {"kind": "throttle", "retry_after": "Fri, 21 Nov 2025 00:00:00 GMT", "times": 1},
        {"kind": "throttle", "retry_after": "-soon", "times": 1},
        {"kind": "throttle", "body": True, "times": 1},
    ],
    "nonsense": [
        {"kind": "garbage", "form": "html", "times": 2, **UPDATES},
        {"kind": "garbage", "form": "truncated", "times": 2, **UPDATES},
        {"kind": "garbage", "form": "cut", "applied": True, "times": 2, **UPDATES},
        {"kind": "garbage", "form": "drip", "interval_ms": 50, "times": 1, **UPDATES},
        {"kind": "status", "status": 204, "times": 1, **UPDATES},
    ],
    "silence": [
        {"kind": "lost", "times": 6, **UPDATES},
        {"kind": "drop", "times": 6, **UPDATES},
        {"kind": "status", "status": 500, "applied": True, "times": 3, **UPDATES},
        {"kind": "latency", "ms": 1_300, "times": 3, **UPDATES},
    ],
}


@pytest.mark.parametrize("name", FAULTS)
def test_passing_faults(stage: Stage, name: str) -> None:
    """All commands are applied in the end, nothing is dead-lettered, and the worker never stops."""
    script, answers = Script(), Answers(stage.redis.client)
    worker = stage.worker()
    for number, fault in enumerate(FAULTS[name]):
        stage.vendor.fault(**fault)
        publish_updates(stage, script, f"-{number}")
        all_settled(stage, script, answers)
        assert stage.vendor.fired(fault["kind"]) >= fault.get("times", 1), "it did not come to pass"
        stage.vendor.heal()
    assert set(answers.statuses().values()) <= {"applied", "superseded"}
    assert letters(stage.redis.client) == []
    assert worker.alive


def publish_updates(stage: Stage, script: Script, suffix: str = "") -> None:
    """Creates and updates of groups of their own, in one message. (Were they to come while a call of their
    group is in doubt, those that conflict with it would rightly wait until its signature has expired.)"""
    published = len(script.events)
    created = [name + suffix for name in CREATED]
    for name in created:
        script.create(name)
    script.some_updates(60, [name + suffix for name in NAMES] + created)
    stage.publish(arrays(script.events[published:], 1_000))


def test_pauses_for_as_long_as_the_vendor_says(stage: Stage) -> None:
    """After a 429, no call goes out before `Retry-After` is over."""
    script, answers = Script(), Answers(stage.redis.client)
    publish_updates(stage, script)
    stage.vendor.fault("throttle", retry_after="2", times=1)
    stage.worker(MAX_IN_FLIGHT="1")
    all_settled(stage, script, answers)
    throttled, *others = stage.vendor.calls()
    assert throttled["fault"] == "throttle"
    assert min(call["at_ms"] for call in others) >= throttled["at_ms"] + 2_000


def test_refused_numbers(stage: Stage) -> None:
    """Exactly the commands that bring in a refused number are rejected and dead-lettered; all others of the
    same groups, that waited with them, are applied."""
    script, answers = Script(), Answers(stage.redis.client)
    refused: list[bytes] = []
    numbers = ["85298000001", "85298000002"]
    script.create("key0")
    for name, number in [("id00", numbers[0]), ("id01", numbers[1]), ("key0", numbers[0])]:
        pool = script.pool(name)
        # A later `replace`, or a `delete` of the refused number, would keep it from the vendor altogether.
        script.some_updates(20, [name])
        refused += lone([script.refused(name, [number, "85298000003"])])
        for shift in range(10):
            script.update(name, "add", pool[shift : shift + 3])
            script.update(name, "delete", pool[shift + 9 : shift + 11])
    stage.publish(lone(script.events))
    stage.vendor.fault("refuse_numbers", numbers=numbers)
    worker = stage.worker()
    all_settled(stage, script, answers)
    kept = letters(stage.redis.client)
    assert sorted(body for _, body in kept) == sorted(refused)
    rejected = {name for name, status in answers.statuses().items() if status == "rejected"}
    assert rejected == {letter.command.id for letter, _ in kept if letter.command}
    for name in rejected:
        error = answers.one(name).data.error
        assert error is not None
        assert (error.kind, error.code) == ("refused", "1002")
    assert worker.alive


def test_wrong_secret(stage: Stage) -> None:
    """A fault of the account is nobody's command's: nothing is dead-lettered or lost, the worker says what
    is wrong and goes on trying, and one with the right secret finishes all."""
    script, answers = Script(), Answers(stage.redis.client)
    script.some_updates(60, NAMES)
    stage.publish(lone(script.events))
    mistaken = stage.worker(ACCESS_SECRET=SECRET + "-mistyped")
    mistaken.says('"1003"')
    assert mistaken.alive
    assert stage.backlog() == len(script.events)
    assert letters(stage.redis.client) == []
    assert answers.count == 0
    assert mistaken.stop() == 0
    stage.worker()
    all_settled(stage, script, answers)
    assert letters(stage.redis.client) == []


def test_vendor_away(stage: Stage) -> None:
    """Commands wait for a vendor that cannot be reached, and go through when it is there."""
    script, answers = Script(), Answers(stage.redis.client)
    publish_updates(stage, script)
    port = free_port()
    worker = stage.worker(BASE_URL=f"http://127.0.0.1:{port}/api/pns/")
    worker.says("not connected")
    with Vendor(stage.folder, port) as stage.vendor:
        all_settled(stage, script, answers)
    assert letters(stage.redis.client) == []
    assert worker.alive
