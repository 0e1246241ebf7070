"""`numbergroup replies`: results as NDJSON."""

import json
import subprocess

import pytest
from e2e_cli import Shell
from e2e_processes import NUMBERGROUP, Program, environment, eventually
from e2e_replies import answer, names, some
from e2e_stage import REPLIES, Stage

pytestmark = pytest.mark.redis_server


def test_all_results(stage: Stage, shell: Shell) -> None:
    """One JSON object a line, oldest first, those of arrays too; they can be read again, and what somebody
    else wrote to the stream does no harm."""
    answer(stage, *some(1, 3), list(some(4, 4)))
    stage.redis.client.xadd(REPLIES, {"note": "somebody else's"})
    stage.redis.client.xadd(REPLIES, {"event": "not JSON"})
    done, again = shell.at_once(("replies",), ("replies",))
    assert (done.code, done.err) == (0, "")
    assert names(done.out) == [f"c-{number}" for number in range(1, 8)]
    assert again == done


def test_the_answer_to_one_command(stage: Stage, shell: Shell) -> None:
    """`--for` prints that one alone; exit code 1, and a line that says so, while it is not there."""
    answer(stage, *some(1, 3), {"somebody": "else's"}, 7)
    found, missing = shell.at_once(("replies", "--for", "c-2"), ("replies", "--for", "c-9"))
    assert (found.code, found.err) == (0, "")
    assert names(found.out) == ["c-2"]
    assert (missing.code, missing.out) == (1, "")
    assert missing.err == "numbergroup: no result of c-9 yet: wait for it with --follow\n"


def test_several_answers_to_one_command(stage: Stage, shell: Shell) -> None:
    """After a replay there are several: all of them, the latest last, also where one is waited for."""
    (first,) = some(2, 1)
    answers = [first, first | {"id": "after a replay"}, first | {"id": "after another one"}]
    answer(stage, *some(1, 1), answers[0], *some(3, 1_500), answers[1], [*some(9_000, 1), answers[2]])
    for done in shell.at_once(("replies", "--for", "c-2"), ("replies", "--follow", "--for", "c-2")):
        assert (done.code, done.err) == (0, "")
        assert [json.loads(line)["id"] for line in done.out.splitlines()] == [one["id"] for one in answers]


def test_follow(stage: Stage) -> None:
    """`--follow` prints what comes as it comes; with `--for` it ends with the answer."""
    answer(stage, *some(1, 1))
    variables = environment(stage.folder, stage.settings)
    following = Program("follow", [*NUMBERGROUP, "replies", "-f"], stage.folder, variables)
    waiting = Program("wait", [*NUMBERGROUP, "replies", "-f", "--for", "c-3"], stage.folder, variables)
    try:
        eventually(lambda: names(following.out) == ["c-1"], "the result that is there already")
        answer(stage, *some(2, 3))
        assert waiting.ended() == 0
        assert names(waiting.out) == ["c-3"]
        eventually(lambda: names(following.out) == ["c-1", "c-2", "c-3", "c-4"], "those that came")
        assert following.alive
    finally:
        following.end()
        waiting.end()


def test_a_reader_that_goes_away(stage: Stage) -> None:
    """`replies | head -1` is no failure, and no traceback."""
    answer(stage, *(list(some(first, 1_000)) for first in range(0, 10_000, 1_000)))
    with subprocess.Popen(
        [*NUMBERGROUP, "replies"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(stage.folder, stage.settings),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_other_queues(stage: Stage, shell: Shell) -> None:
    """`--queue` reads another reply stream; what is no queue is said to be none."""
    answer(stage, *some(1, 1), queue="numbergroup:replies:billing")
    stage.redis.client.set("text", "x")
    other, usual, none = shell.at_once(
        ("replies", "--queue", "numbergroup:replies:billing"), ("replies",), ("replies", "--queue", "text")
    )
    assert names(other.out) == ["c-1"]
    assert (usual.code, usual.out) == (0, "")
    assert (none.code, none.err) == (
        1,
        "numbergroup: text is neither a stream nor a list: is its name right (--queue)?\n",
    )
