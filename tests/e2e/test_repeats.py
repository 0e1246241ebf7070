"""The same command again, and another one under its id."""

import json

import pytest
from e2e_answers import Answers, letters
from e2e_brokers import on_both_brokers
from e2e_commands import Event, Script, lone
from e2e_processes import eventually
from e2e_rabbit import RabbitStage
from e2e_stage import Stage

from numbergroup_contracts.results import ResultEvent

pytestmark = [pytest.mark.redis_server, on_both_brokers]

PHONES = ["85212345671", "85212345672"]


def answered(stage: Stage, answers: Answers, event: Event, count: int) -> list[ResultEvent]:
    """All results of the command, once there are `count`."""
    eventually(lambda: answers.count >= count and not stage.backlog(), f"{count} results")
    assert answers.count == count
    return answers.of[event["id"]]


def test_repeats_are_answered_with_the_first_result(stage: Stage) -> None:
    """Twice before it was settled, again afterwards, again in an array, again after the worker's restart:
    applied once, and answered each time under the same id, with the same requestIds."""
    script, answers = Script(), stage.answers()
    event = script.update("group", "add", PHONES)
    stage.publish(lone([event, event]))
    worker = stage.worker()
    answered(stage, answers, event, 2)
    stage.publish(lone([event]))
    answered(stage, answers, event, 3)
    stage.publish([json.dumps([event, event]).encode()])
    answered(stage, answers, event, 5)
    assert worker.stop() == 0
    stage.worker()
    stage.publish(lone([event]))
    results = answered(stage, answers, event, 6)

    assert stage.vendor.count() == 1
    assert {result.data.status.value for result in results} == {"applied"}
    (one,) = {result.id for result in results}
    ((request,),) = {tuple(result.data.requestIds) for result in results}
    assert one
    assert request == stage.vendor.calls()[0]["requestId"]


def test_a_repeated_create_makes_one_group(stage: Stage) -> None:
    """A create that comes again, in the same batch and after a restart, is answered with its first group."""
    script, answers = Script(), stage.answers(every_repeat=True)
    event = script.create("key", PHONES)
    stage.publish(lone([event, event]))
    worker = stage.worker()
    answered(stage, answers, event, 2)
    worker.kill()
    stage.worker()
    stage.publish(lone([event]))
    results = answered(stage, answers, event, 3)
    assert stage.vendor.groups() == script.groups
    assert stage.vendor.count("createGroup") == 1
    assert len({(result.id, result.data.groupId) for result in results}) == 1


def test_a_repeat_does_not_undo_what_came_after_it(stage: Stage) -> None:
    """An old command that comes again behind newer ones of its group changes nothing."""
    script, answers = Script(), stage.answers()
    added = script.update("group", "add", PHONES)
    deleted = script.update("group", "delete", PHONES[:1])
    stage.publish(lone([added]))
    stage.worker()
    answered(stage, answers, added, 1)
    stage.publish(lone([deleted, added]))
    answered(stage, answers, added, 3)
    assert stage.vendor.groups() == script.groups == {"group": set(PHONES[1:])}


def test_another_command_under_the_same_id(stage: Stage) -> None:
    """It is rejected as a conflict, whether the first one still waits, is settled, or was settled by an
    earlier worker; its answer has an id of its own, and the first command's answer stays what it was."""
    script, answers = Script(), stage.answers()
    event = script.update("group", "add", PHONES)
    other = event | {"data": event["data"] | {"operateType": "delete"}}
    stage.publish(lone([event, other]))
    worker = stage.worker()
    answered(stage, answers, event, 2)
    stage.publish(lone([other]))
    answered(stage, answers, event, 3)
    assert worker.stop() == 0
    stage.worker()
    stage.publish(lone([other, event]))
    results = answered(stage, answers, event, 5)

    conflicts = [result for result in results if result.data.status == "rejected"]
    assert len(conflicts) == 3
    assert {result.data.error.kind for result in conflicts if result.data.error} == {"conflict"}
    assert len({result.id for result in conflicts}) == 1
    assert len({result.id for result in results}) == 2
    # Equal messages of RabbitMQ have one letter, because a redelivery looks the same.
    kept = [other] if isinstance(stage, RabbitStage) else [other, other, other]
    assert [body for _, body in letters(stage.redis.client)] == lone(kept)
    assert stage.vendor.groups() == script.groups
    assert stage.vendor.count() == 1


def test_the_same_id_of_another_source(stage: Stage) -> None:
    """It is another command: ids are the source's own."""
    script, answers = Script(), stage.answers()
    event = script.update("group", "add", PHONES[:1])
    other = script.update("group", "add", PHONES[1:]) | {"id": event["id"], "source": "another"}
    stage.publish(lone([event, other]))
    stage.worker()
    results = answered(stage, answers, event, 2)
    assert {result.data.status.value for result in results} == {"applied"}
    assert {result.data.command.source for result in results} == {"e2e", "another"}
    assert stage.vendor.groups() == script.groups
