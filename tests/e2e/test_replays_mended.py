"""Letters that are mended, or tried again until they succeed, by operators beside workers that run."""

import json
from typing import Any

import pytest
from e2e_answers import letters
from e2e_brokers import on_both_brokers, on_rabbitmq
from e2e_cli import Shell
from e2e_commands import Script, lone
from e2e_kombu import Inbox, publishing, receive
from e2e_processes import eventually
from e2e_rabbit import RabbitStage
from e2e_replays import (
    all_answered,
    answered_again,
    audited,
    lettered,
    nothing_kept,
    replay,
    statuses,
)
from e2e_stage import Stage

pytestmark = pytest.mark.redis_server

BAD = "85298000001"
GOOD = ["85291000001", "85291000002", "85291000003"]


@on_both_brokers
def test_a_number_that_was_wrong(stage: Stage, shell: Shell) -> None:
    """One of three numbers is refused, and nothing of the command is applied; edited and replayed, it is,
    under its own id. The letter is gone, and the audit stream has both actions."""
    script, answers = Script(), stage.answers()
    stage.worker()
    stage.vendor.fault("refuse_numbers", numbers=[BAD])
    event = script.update("g", "add", [*GOOD[:2], BAD])
    stage.publish(lone([event]))
    all_answered(script, answers)
    (letter,) = lettered(stage, 1).values()
    assert stage.vendor.groups().get("g", set()) == set()

    mended = json.dumps(event).replace(BAD, GOOD[2]).encode()
    stage.numbers.update(GOOD)
    done = shell("dead-letters", "edit", letter.id, "--file", "-", "--replay", stdin=mended)
    assert (done.code, done.out) == (0, f"edited {letter.id}\nreplayed 1 dead letter\n")
    answered_again(stage, script, answers, {event["id"]: 1})
    assert statuses(answers, event["id"]) == ["rejected", "applied"]
    assert stage.vendor.groups() == {"g": set(GOOD)}
    assert audited(shell) == ["edit", "replay"]
    assert nothing_kept(stage)


@on_both_brokers
def test_bytes_that_could_not_be_read(stage: Stage, shell: Shell) -> None:
    """Mended they are carried out and answered; a repeat of the command is answered with that."""
    script, answers = Script(), stage.answers()
    stage.worker()
    event = script.update("g", "add", GOOD)
    (body,) = lone([event])
    stage.publish([body[:-1]])
    all_answered(script, answers)
    ((letter, kept),) = letters(stage.redis.client)
    assert (letter.group, kept) == (None, body[:-1])
    assert shell("dead-letters", "edit", letter.id, "--file", "-", "--replay", stdin=body).code == 0
    answered_again(stage, script, answers, {event["id"]: 1})
    assert stage.vendor.groups() == script.groups
    calls = stage.vendor.count()
    stage.publish([body])
    eventually(lambda: answers.count == 3, "an answer to the repeat")
    assert statuses(answers, event["id"]) == ["rejected", "applied", "applied"]
    assert stage.vendor.count() == calls
    assert nothing_kept(stage)


@on_both_brokers
def test_what_fails_again(stage: Stage, shell: Shell) -> None:
    """It is another letter, with the history, the replays counted and the attempts added up; healed and
    replayed once more, it is applied, and nothing of it is left."""
    script, answers = Script(), stage.answers()
    stage.worker()
    stage.vendor.fault("refuse_numbers", numbers=[BAD])
    event = script.update("g", "add", [GOOD[0], BAD])
    stage.publish(lone([event]))
    all_answered(script, answers)
    (before,) = lettered(stage, 1).values()
    for again in (1, 2):
        assert replay(shell, before.id) == 1
        answered_again(stage, script, answers, {event["id"]: again})
        (letter,) = lettered(stage, 1).values()
        assert letter.id != before.id == answers.of[event["id"]][again - 1].data.deadLetterId
        assert (letter.replays, len(letter.history), letter.attempts) == (again, again, again + 1)
        assert (letter.fingerprint, letter.firstTime) == (before.fingerprint, before.firstTime)
        assert letter.history[-1].error == before.error
        assert letter.history[-1].time == before.time
        before = letter
    stage.vendor.heal()
    assert replay(shell, "--fingerprint", before.fingerprint or "") == 1
    answered_again(stage, script, answers, {event["id"]: 3})
    assert statuses(answers, event["id"]) == [*["rejected"] * 3, "applied"]
    assert stage.vendor.groups() == script.groups
    assert nothing_kept(stage)


@on_both_brokers
def test_one_event_of_an_array(stage: Stage, shell: Shell) -> None:
    """The event that was refused is replayed, and none of the others with it."""
    script, answers = Script(), stage.answers()
    stage.worker()
    stage.vendor.fault("refuse_numbers", numbers=[BAD])
    for number in (GOOD[0], BAD, GOOD[1]):
        script.update("g", "add", [number])
    stage.publish([json.dumps(script.events).encode()])
    all_answered(script, answers)
    ((name, letter),) = lettered(stage, 1).items()
    stage.vendor.heal()
    calls = stage.vendor.count()
    assert replay(shell, letter.id) == 1
    answered_again(stage, script, answers, {name: 1})
    (call,) = stage.vendor.calls()[calls:]
    assert call["phones"] == [BAD]
    assert stage.vendor.groups() == script.groups


def test_an_answer_to_a_kombu_list(stage: Stage, shell: Shell) -> None:
    """Commands that came over a list, with a queue and an id for the answer, or without: the replays'
    answers go where the first ones went, and the stream of replies stays empty."""
    mine = "numbergroup.replies.crm"
    mended(stage, shell, "numbergroup.commands", mine)
    assert not stage.redis.client.exists("numbergroup:replies", f"numbergroup:replies:{mine}")


@on_rabbitmq
def test_an_answer_to_an_amqp_queue(stage: RabbitStage, shell: Shell) -> None:
    """The same of messages with `reply_to` and `correlation_id` on RabbitMQ."""
    mended(stage, shell, "numbergroup.commands", "numbergroup.replies.mine")


def mended(stage: Stage, shell: Shell, commands: str, mine: str) -> None:
    """Refused, healed, replayed: two answers in the same queue, with the same id of the message."""
    script = Script()
    stage.worker()
    stage.vendor.fault("refuse_numbers", numbers=[BAD])
    asked, plain = script.update("g", "add", [GOOD[0], BAD]), script.update("h", "add", [BAD])
    how: dict[str, Any] = {"reply_to": mine, "correlation_id": "77"}
    own, usual = Inbox(), Inbox()
    with publishing(stage) as producer:
        producer.publish(asked, routing_key=commands, **how)
        producer.publish(plain, routing_key=commands)
    receive(stage, own, 1, mine)
    receive(stage, usual, 1, "numbergroup.replies")
    lettered(stage, 2)
    stage.vendor.heal()
    assert replay(shell, "--all") == 2
    receive(stage, own, 2, mine)
    receive(stage, usual, 2, "numbergroup.replies")
    for inbox, event, correlation in [(own, asked, "77"), (usual, plain, None)]:
        assert set(inbox.of) == {event["id"]}
        first, second = inbox.of[event["id"]]
        assert (first.data.status, second.data.status) == ("rejected", "applied")
        assert first.id != second.id
        assert (first.correlationid, second.correlationid) == (correlation, correlation)
        assert inbox.correlation[event["id"]] == correlation
    assert stage.vendor.groups() == script.groups
    assert nothing_kept(stage)
