"""`numbergroup replies` where results are kombu's messages in a Redis list, and `--take` on Redis."""

import json
from typing import Any

import pytest
from e2e_cli import Shell
from e2e_processes import NUMBERGROUP, Program, environment, eventually
from e2e_replies import answer, names, some
from e2e_stage import Stage
from kombu import Connection

pytestmark = pytest.mark.redis_server

LIST = "numbergroup.replies"


def push(stage: Stage, *bodies: Any) -> None:
    """As kombu's own producer writes them."""
    with Connection(stage.redis.url) as connection, connection.Producer() as producer:
        for body in bodies:
            producer.publish(
                json.dumps(body),
                exchange="",
                routing_key=LIST,
                content_type="application/json",
                content_encoding="utf-8",
            )


def test_a_list(stage: Stage, shell: Shell) -> None:
    """Oldest first, those of arrays too; they stay, and what is no message of kombu's does no harm."""
    push(stage, *some(1, 1_200), list(some(1_201, 4)))
    stage.redis.client.lpush(LIST, "not JSON", "[]", '{"body": 7}', '{"body": "x", "properties": {}}')
    push(stage, *some(1_205, 1))
    done, one, none = shell.at_once(
        ("replies", "--queue", LIST),
        ("replies", "--queue", LIST, "--for", "c-1205"),
        ("replies", "--queue", LIST, "--for", "c-0"),
    )
    assert (done.code, done.err) == (0, "")
    assert names(done.out) == [f"c-{number}" for number in range(1, 1_206)]
    assert names(one.out) == ["c-1205"]
    assert (none.code, none.err) == (1, "numbergroup: no result of c-0 yet: wait for it with --follow\n")
    assert stage.redis.client.llen(LIST) == 1_206


def test_several_answers_in_a_list(stage: Stage, shell: Shell) -> None:
    """As in a stream: all of them, the latest last."""
    (first,) = some(2, 1)
    push(stage, *some(1, 1), first, *some(3, 1_500), first | {"id": "after a replay"})
    runs = (("replies", "--queue", LIST, "--for", "c-2"), ("replies", "-f", "--queue", LIST, "--for", "c-2"))
    for done in shell.at_once(*runs):
        assert (done.code, done.err) == (0, "")
        ids = [json.loads(line)["id"] for line in done.out.splitlines()]
        assert ids == [first["id"], "after a replay"]


def test_following_a_list(stage: Stage, shell: Shell) -> None:
    """Each result once, also while somebody consumes the list, and from before there is one."""
    variables = environment(stage.folder, stage.settings)
    arguments = [*NUMBERGROUP, "replies", "-f", "--queue", LIST]
    following = Program("follow", arguments, stage.folder, variables)
    try:
        push(stage, *some(1, 3))
        eventually(lambda: names(following.out) == ["c-1", "c-2", "c-3"], "those that were there first")
        stage.redis.client.rpop(LIST)
        push(stage, *some(4, 1))
        eventually(lambda: names(following.out)[3:] == ["c-4"], "one more, after another was consumed")
        stage.redis.client.delete(LIST)
        push(stage, *some(5, 2))
        eventually(lambda: names(following.out)[4:] == ["c-5", "c-6"], "more, after all were consumed")
        assert following.alive
    finally:
        following.end()


def test_taking_from_a_list(stage: Stage, shell: Shell) -> None:
    """What was printed is gone; what was not has stayed."""
    stage.redis.client.lpush(LIST, "not JSON")
    push(stage, *some(1, 2), list(some(3, 2)), *some(5, 1_200))
    take = ("replies", "--queue", LIST, "--take")
    assert names(shell(*take, "--for", "c-2").out) == ["c-2"]
    assert names(shell(*take, "--for", "c-3").out) == ["c-3"]
    assert names(shell(*take).out) == [f"c-{n}" for n in (1, *range(3, 1_205))]
    assert stage.redis.client.lrange(LIST, 0, -1) == [b"not JSON"]
    assert shell(*take).out == ""


def test_taking_from_a_stream(stage: Stage, shell: Shell) -> None:
    """What was printed is gone; of an array only the whole."""
    answer(stage, *some(1, 2), list(some(3, 2)), *some(5, 1_200))
    assert names(shell("replies", "--take", "--for", "c-3").out) == ["c-3"]
    assert names(shell("replies", "--take", "--for", "c-2").out) == ["c-2"]
    assert names(shell("replies", "--take").out) == [f"c-{n}" for n in (1, *range(3, 1_205))]
    assert stage.redis.client.xlen("numbergroup:replies") == 0
