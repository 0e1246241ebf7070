"""Queues that are missing, forbidden, full, deleted, or not as the worker would have them."""

import json

import amqp
import pytest
from e2e_answers import Answers, letters
from e2e_brokers import on_rabbitmq
from e2e_checks import all_settled
from e2e_cli import Shell
from e2e_commands import Script, arrays, lone
from e2e_processes import eventually
from e2e_rabbit import COMMANDS, REPLIES, RabbitStage
from e2e_stage import Worker

from numbergroup_contracts import publish
from numbergroup_contracts.names import command_queue, partition_of

pytestmark = [pytest.mark.redis_server, on_rabbitmq]

NAMES = [f"id{n:02}" for n in range(20)]
NO_REPLIES = "no such reply queue"
LIMITED = "limited"
IN_FORCE = "the number of partitions is in force"


def published(stage: RabbitStage, script: Script, count: int = 100) -> None:
    stage.publish(lone(script.some_updates(count, NAMES)))


def at_work(stage: RabbitStage, script: Script) -> Worker:
    published(stage, script, 300)
    worker = stage.worker(CALLS_PER_SECOND="40")
    eventually(lambda: stage.vendor.count() >= 5, "work going on")
    return worker


def deleted(stage: RabbitStage, queue: str) -> None:
    with stage.connect() as connection:
        connection.channel().queue_delete(queue)


def declared(stage: RabbitStage, queue: str, **arguments: object) -> None:
    """As an administrator may have it."""
    with stage.connect() as connection:
        connection.channel().queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)


@pytest.fixture
def limited(stage: RabbitStage) -> RabbitStage:
    """The stage with workers that may read and write everything, and declare nothing."""
    control = stage.rabbit.control
    if LIMITED not in control("list_users"):
        control("add_user", LIMITED, LIMITED)
    control("set_permissions", "-p", stage.vhost, LIMITED, "^$", ".*", ".*")
    stage.settings["BROKER_URL"] = stage.rabbit.url_of(stage.vhost, LIMITED)
    return stage


def test_reply_queue_deleted_in_mid_work(stage: RabbitStage) -> None:
    """The worker says so, declares it anew, and loses no result. (What is on its way into a queue that is
    deleted goes with it, and RabbitMQ confirms it: so here nothing is.)"""
    script, answers = Script(), stage.answers()
    worker = at_work(stage, script)
    stage.vendor.fault("status", status=503)
    eventually(lambda: stage.vendor.fired("status") >= 20, "no more results")
    eventually(lambda: answers.count > 0, "some results")
    deleted(stage, REPLIES)
    stage.vendor.heal()
    worker.says(NO_REPLIES)
    published(stage, script)
    all_settled(stage, script, answers)


def test_a_user_that_may_declare_nothing(limited: RabbitStage) -> None:
    """It works with what is there. When the reply queue is not, it says so again and again, and goes on
    when somebody has declared it: also in mid-work."""
    script, answers = Script(), limited.answers()
    deleted(limited, REPLIES)
    published(limited, script)
    worker = limited.worker(CALLS_PER_SECOND="40")
    eventually(lambda: worker.err.count(f"no queue '{REPLIES}'") >= 3, "its complaints")
    assert limited.backlog() == len(script.events)
    declared(limited, REPLIES)
    all_settled(limited, script, answers)

    deleted(limited, REPLIES)
    published(limited, script)
    eventually(lambda: worker.err.count(NO_REPLIES) >= 3, "its complaints")
    assert limited.backlog() > 0
    declared(limited, REPLIES)
    all_settled(limited, script, answers)
    assert worker.alive


def test_a_reply_queue_that_is_full(stage: RabbitStage) -> None:
    """What it refuses stays unacknowledged until it takes it."""
    script = Script()
    deleted(stage, REPLIES)
    declared(stage, REPLIES, **{"x-max-length": 10, "x-overflow": "reject-publish"})
    published(stage, script)
    worker = stage.worker()
    eventually(lambda: worker.err.count(f"the queue {REPLIES} refuses it") >= 3, "its complaints")
    assert stage.backlog() > 0
    assert stage.rabbit.messages(stage.vhost, REPLIES) >= 10
    all_settled(stage, script, stage.answers())


def test_a_classic_queue_that_was_there_before(stage: RabbitStage) -> None:
    """It is used as it is, with a warning; what a killed worker had in hand comes again, in order."""
    script, answers = Script(), stage.answers()
    deleted(stage, COMMANDS)
    declared(stage, COMMANDS)
    worker = at_work(stage, script)
    worker.says("this queue has other arguments than ours, and is used as it is")
    worker.kill()
    stage.worker()
    published(stage, script)
    all_settled(stage, script, answers)


def test_queues_deleted_under_the_consumer(stage: RabbitStage) -> None:
    """The commands in it are gone with it; the worker declares it anew and takes those that come."""
    script, answers = Script(), stage.answers()
    worker = stage.worker()
    published(stage, script)
    all_settled(stage, script, answers)
    deleted(stage, COMMANDS)
    worker.says("connection lost")
    eventually(lambda: there(stage, COMMANDS), "the queue anew")
    published(stage, script)
    all_settled(stage, script, answers)
    assert worker.alive


def test_what_rabbitmq_itself_gives_up(stage: RabbitStage) -> None:
    """It is kept among the dead letters, and answered, like everything else that is not applied."""
    script, answers = Script(), stage.answers()
    bodies = lone(script.some_updates(3, NAMES))
    stage.publish_messages([amqp.Message(body, expiration="1") for body in bodies])
    eventually(lambda: not stage.backlog(), "the end of their time")
    stage.worker()
    eventually(lambda: answers.count == len(bodies), "three results")
    assert set(answers.statuses().values()) == {"rejected"}
    kept = letters(stage.redis.client)
    assert [body for _, body in kept] == bodies
    reason = f"the broker gave it up: expired, queue {COMMANDS}"
    assert {letter.error.message for letter, _ in kept} == {reason}
    assert stage.vendor.count() == 0


def answered(answers: Answers, count: int) -> None:
    eventually(lambda: answers.count == count, f"{count} results")


def listing(name: str, limit: int) -> bytes:
    event = {"specversion": "1.0", "id": name, "source": "e2e", "type": "numbergroup.list.v1"}
    return json.dumps(event | {"data": {"limit": limit}}).encode()


@pytest.mark.slow
def test_answers_that_rabbitmq_does_not_take(stage: RabbitStage) -> None:
    """A list that is larger than a message may be has failed, and says which limit would do; everything else
    goes on; and so it is after a restart, when nobody knows what the broker takes."""
    script, answers = Script(), stage.answers()
    groups = {f"large-{n:02}": [f"8521{n:03}{m:04}" for m in range(50)] for n in range(60)}
    stage.vendor.seed(groups)
    stage.rabbit.configure("max_message_size", 20_000)
    try:
        for turn in range(2):
            worker = stage.worker()
            stage.publish([listing(f"all-{turn}", 60), listing(f"some-{turn}", 5)])
            published(stage, script, 20)
            answered(answers, len(script.events) + 2 * (turn + 1))
            eventually(lambda: not stage.backlog(), "an empty queue")
            failed = answers.one(f"all-{turn}").data
            assert (failed.status, failed.error and failed.error.kind) == ("failed", "too-large")
            assert "with a limit of" in str(failed.error)
            assert len(answers.one(f"some-{turn}").data.groups or ()) == 5
            assert worker.stop() == 0
    finally:
        stage.rabbit.configure("max_message_size", 128 * 1024 * 1024)
    assert [body for _, body in letters(stage.redis.client)] == [listing(f"all-{n}", 60) for n in range(2)]
    assert stage.vendor.groups() == script.groups | {name: set(phones) for name, phones in groups.items()}


@pytest.mark.slow
def test_an_exclusive_queue_whose_client_has_gone(stage: RabbitStage) -> None:
    """The answer is in the default queue, with an error beside its status; the others are not held up, and
    the queue is not declared in the client's place."""
    script, answers = Script(), stage.answers()
    mine = f"{REPLIES}.of-a-client"
    first, *others = lone(script.some_updates(20, NAMES))
    with stage.connect() as connection:
        connection.channel().queue_declare(mine, exclusive=True)
        stage.publish_messages([amqp.Message(first, delivery_mode=2, reply_to=mine)])
    stage.publish(others)
    stage.worker()
    eventually(lambda: answers.count == 20, "all results")
    (noted,) = [name for name in answers.of if answers.one(name).data.error]
    assert noted == script.events[0]["id"]
    assert answers.statuses()[noted] in ("applied", "superseded")
    assert not there(stage, mine)
    all_settled(stage, script, answers)


def emptied(stage: RabbitStage, queue: str) -> None:
    eventually(lambda: not stage.rabbit.messages(stage.vhost, queue), f"{queue} empty")


def published_to(stage: RabbitStage, queue: str, bodies: list[bytes]) -> None:
    """Confirmed, and by a producer that knows of another number of partitions than the workers."""
    with stage.connect() as connection:
        channel = connection.channel()
        for body in stage.noted(bodies):
            channel.basic_publish(amqp.Message(body, delivery_mode=2), "", queue, mandatory=True)


@pytest.mark.slow
def test_another_number_of_partitions(stage: RabbitStage, shell: Shell) -> None:
    """From one partition to two and back: whatever is still published to the queues of the number before is
    counted while no worker runs, and answered as misrouted by the next one, whoever is killed over that;
    published again, to where it belongs, it is carried out."""
    script, answers = Script(), stage.answers()
    stage.worker({"PARTITIONS": "1"}).says(IN_FORCE)
    for turn, (before, after) in enumerate([(1, 2), (2, 1)]):
        assert stage.workers[-1].stop() == 0
        stage.worker({"PARTITIONS": str(after)}).says(IN_FORCE)
        queue = command_queue(partition_of("group", before), before)
        events = script.some_updates(6, ["group"])
        published_to(stage, queue, lone(events[:2]))
        answered(answers, 12 * turn + 2)
        emptied(stage, queue)
        stage.workers[-1].kill()
        published_to(stage, queue, [*lone(events[2:3]), *arrays(events[3:], 3)])
        assert json.loads(shell("status", "--json").out)["strays"][queue] == 2
        stage.worker({"PARTITIONS": str(after)})
        answered(answers, 12 * turn + 6)
        for event in events:
            error = answers.of[event["id"]][0].data.error
            assert error is not None
            assert (error.kind, queue in error.message) == ("misrouted", True)
        assert publish(events, stage.settings["BROKER_URL"], partitions=after) == 6
        answered(answers, 12 * turn + 12)
        assert {answers.of[event["id"]][1].data.status for event in events} <= {"applied", "superseded"}
        emptied(stage, queue)
    assert stage.vendor.groups() == script.groups


def there(stage: RabbitStage, queue: str) -> bool:
    return queue in stage.rabbit.control("list_queues", "-p", stage.vhost, "name").split()
