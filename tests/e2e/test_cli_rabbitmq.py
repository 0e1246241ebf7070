"""`publish`, `replies` and `run --check` on RabbitMQ."""

import json
from pathlib import Path

import pytest
from e2e_cli import Shell
from e2e_processes import NUMBERGROUP, Program, environment, eventually, free_port
from e2e_queues import QueueServer
from e2e_replies import names, result, some

from numbergroup.brokers.redis import embedded
from numbergroup_contracts.names import COMMANDS, REPLIES

pytestmark = pytest.mark.rabbitmq_server

BARE = b'{"groupId": "g1", "operateType": "add", "phones": "85211111114"}\n'
# `run --check` asks a vendor that has a list of groups, and this one has none.
ACCOUNT = {
    "ACCOUNTS__DEFAULT__PROVIDER": "ozonetel",
    "ACCOUNTS__DEFAULT__USERNAME": "u",
    "ACCOUNTS__DEFAULT__API_KEY": "k",
}


@pytest.fixture
def shell(rabbitmq: QueueServer, tmp_path: Path) -> Shell:
    return Shell(tmp_path, {"BROKER_URL": rabbitmq.url, **ACCOUNT})


def answer(rabbitmq: QueueServer, *bodies: object, queue: str = REPLIES) -> None:
    """Write to a reply queue, as a worker would."""
    rabbitmq.put(*(json.dumps(body).encode() for body in bodies), queue=queue)


def left(rabbitmq: QueueServer) -> list[str]:
    """The commands whose answers are in the reply queue, in order; they are gone then."""
    return names("".join(message.body.decode() + "\n" for message in rabbitmq.take(REPLIES)))


def test_publish(rabbitmq: QueueServer, shell: Shell) -> None:
    """As on Redis: whole or not at all, in arrays where that was asked for, and the password unsaid."""
    rabbitmq.declare()
    where = rabbitmq.redacted_url
    done = shell("publish", "-", stdin=BARE)
    (message,) = rabbitmq.take(COMMANDS)
    name = json.loads(message.body)["id"]
    assert (done.code, done.out, done.err) == (0, f"published 1 command (id {name}) to {where}\n", "")
    done = shell("publish", "-", "--batch", "3", stdin=BARE * 7)
    assert (done.code, done.out) == (0, f"published 7 commands in 3 messages to {where}\n")
    assert [len(json.loads(message.body)) for message in rabbitmq.take(COMMANDS)] == [3, 3, 1]
    done = shell("publish", "-", stdin=BARE + b"no command\n")
    assert (done.code, done.out) == (1, "")
    assert rabbitmq.take(COMMANDS) == []


def test_publish_fails(rabbitmq: QueueServer, shell: Shell) -> None:
    """Without a queue it says who declares it, and which option is meant when there is a mistake in it."""
    done, mistaken = shell.at_once(("publish", "-"), ("publish", "-", "--exchange", "fanout"), stdin=BARE)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "numbergroup: RabbitMQ has no queue numbergroup.commands: start a worker, which declares the queues\n"
    )
    assert mistaken.code == 2
    assert "--exchange" in mistaken.err


def test_no_broker_answers(bare_shell: Shell) -> None:
    """The same line as for Redis, and no password."""
    url = f"amqp://guest:a-password@127.0.0.1:{free_port()}//"
    where = f"no broker answers at {url.replace('a-password', '***')} (Connection refused)"
    runs = (("publish", "-"), ("replies",), ("run", "--check"))
    for done in bare_shell.at_once(*runs, stdin=BARE, BROKER_URL=url, **ACCOUNT):
        assert (done.code, done.out) == (1, "")
        assert done.err == (f"numbergroup: {where}: is it running, and is NUMBERGROUP_BROKER_URL right?\n")


def test_a_broker_that_refuses(rabbitmq: QueueServer, shell: Shell) -> None:
    """Wrong credentials and virtual hosts that are none are what the broker says they are."""
    wrong = rabbitmq.url.replace(":guest@", ":a-password@")
    runs = (("run", "--check"), ("publish", "-"), ("replies",))
    checked, *others = shell.at_once(*runs, stdin=BARE, BROKER_URL=wrong)
    assert (checked.code, checked.out) == (2, "")
    assert "NUMBERGROUP_BROKER_URL" in checked.err
    assert [done.code for done in others] == [1, 1]
    for done in (checked, *others):
        assert "ACCESS_REFUSED" in done.err
        assert done.err.count("\n") == 1
        assert "a-password" not in done.err
    nowhere = shell("run", "--check", BROKER_URL=rabbitmq.url + "nowhere")
    assert nowhere.code == 2
    assert "vhost /nowhere not found" in nowhere.err
    external = shell("run", "--check", BROKER_URL=rabbitmq.url + "?auth_mechanism=external")
    assert external.code == 2
    assert "offers no auth_mechanism that NUMBERGROUP_BROKER_URL allows" in external.err


def test_a_queue_that_no_worker_reads(rabbitmq: QueueServer, shell: Shell) -> None:
    """`status` names it, and the one that was meant; what it cannot be told is why nobody answers."""
    rabbitmq.declare()
    misspelt = "numbergroup:commands"
    with rabbitmq.channel() as channel:
        channel.queue_declare(misspelt, auto_delete=False)
    rabbitmq.put(BARE, queue=misspelt)
    wrong = rabbitmq.url.replace(":guest@", ":a-password@")
    ledger = embedded.start()
    try:
        done = shell("status", LEDGER_URL=ledger.url)
        refused = shell("status", LEDGER_URL=ledger.url, BROKER_URL=wrong)
    finally:
        ledger.stop()
        with rabbitmq.channel() as channel:
            channel.queue_delete(misspelt)
    assert "no worker reads the queue numbergroup:commands, which holds 1 messages" in done.out
    assert "was numbergroup.commands meant?" in done.out
    assert refused.code == 1
    assert "refuses: ACCESS_REFUSED" in refused.err
    assert "is it running" not in refused.err


def test_check(rabbitmq: QueueServer, shell: Shell) -> None:
    """`run --check` says that the broker answers, and what holds of the ledger; it declares nothing."""
    fine = f"settings are fine: accounts default; the broker at {rabbitmq.redacted_url} answers"
    done = shell("run", "--check")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{fine}; NUMBERGROUP_LEDGER_URL is not set: dead letters, ")
    assert shell("replies").code == 1
    away = shell("run", "--check", LEDGER_URL="redis://127.0.0.1:1/0")
    assert (away.code, away.out) == (1, "")
    assert "no ledger answers at redis://127.0.0.1:1/0" in away.err
    assert "NUMBERGROUP_LEDGER_URL" in away.err


def test_a_queue_that_loses_commands(rabbitmq: QueueServer, shell: Shell) -> None:
    """A worker does not start on it, and says what would be lost; that can be accepted."""
    rabbitmq.declare(**{"x-delivery-limit": 5})
    checked, run = shell.at_once(("run", "--check"), ("run",))
    for done in (checked, run):
        assert done.code == 2
        assert "the queue numbergroup.commands was declared by others, and loses commands" in done.err
        assert "its delivery limit is 5, and no dead-lettering is declared" in done.err
    assert shell("run", "--check", LOSSY_QUEUES="accept").code == 0


def test_encrypted(rabbitmq: QueueServer, shell: Shell, certificate: str) -> None:
    """A certificate that nobody vouches for is named as what is wrong."""
    rabbitmq.declare()
    url = f"amqps://guest:guest@localhost:{rabbitmq.tls_port}//"
    for done in shell.at_once(("publish", "-"), ("replies",), stdin=BARE, BROKER_URL=url):
        assert (done.code, done.out) == (1, "")
        assert "(its certificate: self" in done.err


def test_all_results(rabbitmq: QueueServer, shell: Shell) -> None:
    """Oldest first, those of arrays too; they stay where they are, in order."""
    rabbitmq.declare()
    assert shell("replies").out == ""
    answer(rabbitmq, *some(1, 3), list(some(4, 4)), *some(8, 2_000))
    rabbitmq.put(b"not JSON")
    for _ in range(2):
        done = shell("replies")
        assert (done.code, done.err) == (0, "")
        assert names(done.out) == [f"c-{number}" for number in range(1, 2_008)]
    assert len(rabbitmq.take(REPLIES)) == 2_005


def test_the_answer_to_one_command(rabbitmq: QueueServer, shell: Shell) -> None:
    """`--for` prints that one alone; exit code 1 while it is not there."""
    rabbitmq.declare()
    answer(rabbitmq, *some(1, 3))
    found, missing = shell("replies", "--for", "c-2"), shell("replies", "--for", "c-9")
    assert (found.code, names(found.out)) == (0, ["c-2"])
    assert (missing.code, missing.out) == (1, "")
    assert missing.err == "numbergroup: no result of c-9 yet: wait for it with --follow\n"
    assert left(rabbitmq) == ["c-1", "c-2", "c-3"]


def test_take(rabbitmq: QueueServer, shell: Shell) -> None:
    """`--take` takes what was printed and nothing else: not the rest of an array, nor the unreadable."""
    rabbitmq.declare()
    answer(rabbitmq, *some(1, 3), list(some(4, 2)))
    assert names(shell("replies", "--for", "c-2", "--take").out) == ["c-2"]
    assert names(shell("replies", "--for", "c-4", "--take").out) == ["c-4"]
    rabbitmq.put(b"not JSON")
    answer(rabbitmq, *some(6, 1_500))
    assert names(shell("replies", "--take").out) == [f"c-{n}" for n in (1, 3, *range(4, 1_506))]
    assert [message.body for message in rabbitmq.take(REPLIES)] == [b"not JSON"]


def test_follow(rabbitmq: QueueServer, shell: Shell) -> None:
    """`--follow` prints what comes as it comes, and leaves it there; with `--for` it ends with the answer."""
    rabbitmq.declare()
    answer(rabbitmq, *some(1, 1))
    variables = environment(shell.folder, shell.settings)
    following = Program("follow", [*NUMBERGROUP, "replies", "-f"], shell.folder, variables)
    try:
        eventually(lambda: names(following.out) == ["c-1"], "the result that is there already")
        answer(rabbitmq, *some(2, 2))
        eventually(lambda: names(following.out) == ["c-1", "c-2", "c-3"], "those that came")
    finally:
        following.end()
    waiting = Program("wait", [*NUMBERGROUP, "replies", "-f", "--for", "c-4"], shell.folder, variables)
    try:
        answer(rabbitmq, result("c-4"))
        assert waiting.ended() == 0
        assert names(waiting.out) == ["c-4"]
    finally:
        waiting.end()
    assert left(rabbitmq) == ["c-1", "c-2", "c-3", "c-4"]


def test_queues_that_cannot_be_read(rabbitmq: QueueServer, shell: Shell) -> None:
    """A queue that is not there, one that somebody else keeps to himself, and one that goes away."""
    rabbitmq.declare()
    missing = shell("replies", "--queue", "nowhere")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err.startswith("numbergroup: the broker has no queue nowhere: ")
    with rabbitmq.channel() as channel:
        channel.basic_consume(REPLIES, exclusive=True)
        done = shell("replies", "-f")
        assert (done.code, done.out) == (1, "")
        assert "ACCESS_REFUSED" in done.err
    variables = environment(shell.folder, shell.settings)
    answer(rabbitmq, *some(1, 1))
    following = Program("follow", [*NUMBERGROUP, "replies", "-f"], shell.folder, variables)
    try:
        eventually(lambda: names(following.out) == ["c-1"], "it reads the queue")
        with rabbitmq.channel() as channel:
            channel.queue_delete(REPLIES)
        assert following.ended() == 1
        assert following.err.count("\n") == 1
    finally:
        following.end()
