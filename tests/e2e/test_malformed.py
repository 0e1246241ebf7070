"""Whatever comes, the worker goes on: good commands are applied, and nothing bad disappears."""

import json

import pytest
from e2e_answers import letters
from e2e_brokers import on_both_brokers
from e2e_commands import Script, lone
from e2e_corpus import GROUP, NUMBER, ODD_NUMBERS, event, odd_but_good, readable, unreadable
from e2e_processes import eventually
from e2e_stage import Stage

pytestmark = [pytest.mark.redis_server, on_both_brokers]

NAMES = [f"id{n}" for n in range(5)]


def test_corpus_among_good_commands(stage: Stage) -> None:
    """Every bad message has a letter with the very bytes that were sent, and where its sender could be read
    a `rejected` result that names it; every good one is applied; nothing stays in the broker."""
    script, answers = Script(), stage.answers()
    bad, odd = [*unreadable(), *readable()], odd_but_good()
    for body in [one.body for one in bad] + list(odd.values()):
        stage.publish([body, *lone(script.some_updates(3, NAMES))])
    worker = stage.worker()
    eventually(lambda: not stage.backlog(), "an empty queue")

    kept = letters(stage.redis.client)
    assert sorted(body for _, body in kept) == sorted(one.kept for one in bad)
    rejected = {one.answered for one in bad if one.answered}
    assert set(answers.statuses()) == {event["id"] for event in script.events} | rejected | set(odd)
    assert {name for name, status in answers.statuses().items() if status == "rejected"} == rejected
    by_id = {letter.id: letter for letter, _ in kept}
    for name in rejected:
        result = answers.one(name).data
        letter = by_id[result.deadLetterId or ""]
        assert (letter.command, letter.error) == (result.command, result.error)
        assert NUMBER not in letter.error.message
    assert stage.vendor.groups() == script.groups | {GROUP: set(ODD_NUMBERS)}
    assert not stage.redis.client.exists("celery"), "a reply queue that nobody allowed"
    assert worker.alive


def test_array_with_bad_events(stage: Stage) -> None:
    """The good events of an array go through; of the bad ones each has its letter, with its own bytes, and
    is answered in an array too if it can be."""
    script, answers = Script(), stage.answers()
    good = script.some_updates(8, NAMES)
    bad = json.dumps(event("bad", {"phones": int(NUMBER)})).encode()
    stage.publish([b"[" + b" , ".join([*lone(good[:4]), bad, b"7", *lone(good[4:])]) + b"]"])
    stage.worker()
    eventually(lambda: not stage.backlog(), "an empty queue")
    assert answers.count == 9
    assert answers.one("bad").data.status == "rejected"
    assert answers.in_arrays == {"bad", *(event["id"] for event in good)}
    assert answers.alone == set()
    kept = letters(stage.redis.client)
    assert [(letter.index, body) for letter, body in kept] == [(4, bad), (5, b"7")]
    assert stage.vendor.groups() == script.groups


def test_array_too_long(stage: Stage) -> None:
    """Of an array of 1,001 events none is applied, and each is answered."""
    script, answers = Script(), stage.answers()
    script.some_updates(1_001, NAMES)
    stage.publish([json.dumps(script.events).encode()])
    stage.worker()
    eventually(lambda: not stage.backlog(), "an empty queue")
    assert set(answers.statuses().values()) == {"rejected"}
    assert answers.count == len(letters(stage.redis.client)) == 1_001
    assert stage.vendor.count() == 0


def test_expired(stage: Stage) -> None:
    """What had expired before it could be sent is answered as such, and the vendor never hears of it."""
    answers = stage.answers()
    stage.publish([json.dumps(event("late", expirytime="2020-01-01T00:00:00Z")).encode()])
    stage.worker()
    eventually(lambda: not stage.backlog(), "an empty queue")
    assert answers.count == 1
    assert answers.one("late").data.status == "expired"
    assert stage.vendor.count() == 0
    assert letters(stage.redis.client) == []
