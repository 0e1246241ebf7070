"""What the worker writes about its work says nothing of phone numbers and secrets."""

import json

import pytest
from e2e_answers import Answers
from e2e_checks import private_parts
from e2e_commands import Script, lone
from e2e_corpus import readable, unreadable
from e2e_processes import eventually
from e2e_stage import SECRET, Open

pytestmark = pytest.mark.redis_server

PASSWORD = "e2e-password-0123456789"
MISTYPED = "a-mistyped-secret"


def test_no_phone_number_and_no_secret_in_the_log(open_stage: Open) -> None:
    """Neither at the level `debug`, nor when messages are malformed, numbers are refused, the vendor's
    messages repeat what they were sent, credentials are wrong, and the broker is away."""
    stage = open_stage(durable=True, password=PASSWORD)
    script, answers = Script(), Answers(stage.redis.client)
    names = [f"id{n}" for n in range(8)]
    script.some_updates(100, names)
    number = script.pool(names[0])[0]
    script.refused(names[0], ["85298000001"])
    bad = [one.body for one in (*unreadable(), *readable())]
    stage.publish([*lone(script.events), *bad])

    mistaken = stage.worker(ACCESS_SECRET=MISTYPED)
    mistaken.says('"1003"')
    assert mistaken.stop() == 0
    stage.vendor.fault("refuse_numbers", numbers=["85298000001"])
    echo = f"parameter error: {SECRET} is not the secret for {number}, +{number}, phones={number},{number}"
    stage.vendor.fault("code", code=10009, msg=echo, times=3)
    worker = stage.worker(CALLS_PER_SECOND="20")
    eventually(lambda: stage.vendor.fired("code") == 3, "the vendor repeats what it was sent")
    stage.redis.kill()
    worker.says("unavailable")
    stage.redis.start()
    eventually(lambda: not stage.backlog(), "an empty stream")

    assert answers.count > len(script.events)
    assert private_parts(stage.output(), stage.numbers, [SECRET, MISTYPED, PASSWORD]) == []
    lines = stage.output().splitlines()
    assert {"event", "level", "timestamp"} <= set.intersection(*(set(json.loads(line)) for line in lines))
    assert {"debug", "info", "warning", "error"} <= {json.loads(line)["level"] for line in lines}
