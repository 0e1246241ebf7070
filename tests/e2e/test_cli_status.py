"""`numbergroup status` and the metrics, of workers that run."""

import json
import socket
from typing import Any
from urllib.request import urlopen

import pytest
from deadlines import room
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_cli import Shell
from e2e_commands import Script, lone
from e2e_processes import eventually, free_port
from e2e_stage import Stage

pytestmark = pytest.mark.redis_server


def status(shell: Shell) -> Any:
    done = shell("status", "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def reported(shell: Shell, condition: Any, what: str) -> Any:
    """The status of which that is true, asked for again and again: reports are two seconds old."""

    def look() -> Any:
        found = status(shell)
        return found if condition(found) else None

    return eventually(look, what)


@on_both_brokers
def test_a_group_that_is_parked(stage: Stage, shell: Shell) -> None:
    """While one group fails and another is paused, it tells of both, of what waits, and of who works; when
    all is done nothing is left to tell."""
    stage.vendor.fault("status", status=503, groupId="ill")
    script, answers = Script(), stage.answers()
    workers = [stage.worker(), stage.worker()]
    workers[0].says("partition")
    assert shell("pause", "group", "asked", "--reason", "by the customer").code == 0
    for worker in workers:
        worker.says("paused by an operator")
    script.some_updates(30, ["well", "ill", "asked"])
    waiting = sum(event["data"]["groupId"] != "well" for event in script.events)
    stage.publish(lone(script.events))

    def both(found: Any) -> bool:
        states = {one["group"]: (one["state"], one["waiting"]) for one in found["groups"]}
        backlog = sum(one["backlog"] for one in found["partitions"])
        return set(states) == {"id:ill", "id:asked"} and backlog == waiting

    found = reported(shell, both, "a status of two groups that wait")
    (partition,) = found["partitions"]
    assert {one["owner"] for one in found["workers"]} >= {partition["owner"]}
    assert len(found["workers"]) == 2
    assert (partition["inHand"], partition["groups"]) == (waiting, 2)
    ill, asked = sorted(found["groups"], key=lambda one: one["group"], reverse=True)
    assert (ill["state"], ill["error"]["code"]) == ("parked", "http-503")
    assert (asked["state"], asked["reason"]) == ("paused", "by the customer")
    assert found["accounts"]["default"]["calls"]["applied"] >= 1
    said = shell("status")
    assert said.code == 0
    assert "by the customer" in said.out
    assert not [number for number in stage.numbers if number in said.out + json.dumps(found)]

    stage.vendor.heal()
    for group in ("ill", "asked"):
        assert shell("resume", "group", group).code == 0
    all_settled(stage, script, answers)
    reported(
        shell, lambda found: not found["groups"] and not found["partitions"][0]["inHand"], "nothing waits"
    )


def test_nobody_works(stage: Stage, shell: Shell) -> None:
    """It says so, with what the ledger and the broker know; exit code 0. A worker that was killed is gone
    from it as soon as its life is over."""
    stage.publish([b"{}"])
    stage.redis.client.xadd("numbergroup:0:commands", {"event": "{}"})
    found = status(shell)
    assert (found["workers"], found["partitions"][0]["backlog"]) == ([], 1)
    (problem,) = found["problems"]
    assert problem.startswith("no worker reads the stream numbergroup:0:commands, which holds 1 entries")
    assert problem.endswith("was numbergroup:{0}:commands meant?")
    assert "keeps nothing on disk" in found["warnings"][0]
    assert shell("status").out.startswith("no worker is running")
    worker = stage.worker()
    found = reported(shell, lambda found: found["deadLetters"]["capIsReported"], "a report of the worker")
    assert found["deadLetters"]["cap"] == 500_000
    assert json.loads(shell("status", "--json", MAX_DEAD_LETTERS="7").out)["deadLetters"]["cap"] == 500_000
    worker.kill()
    reported(shell, lambda found: not found["workers"], "the dead worker is gone")


def test_where_nobody_can_look(bare_shell: Shell) -> None:
    """On RabbitMQ without a ledger, exit code 2; without an answer, 1; and why."""
    alone = bare_shell("status", BROKER_URL="amqp://guest:secret-word@127.0.0.1:1//")
    assert (alone.code, alone.out) == (2, "")
    assert alone.err.startswith("numbergroup: NUMBERGROUP_LEDGER_URL is not set: ")
    away = bare_shell("status", BROKER_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert (away.code, away.out) == (1, "")
    assert away.err.startswith("numbergroup: no ledger answers at redis://127.0.0.1:")


def test_the_broker_is_away(stage: Stage, shell: Shell) -> None:
    """What the ledger knows is told, the backlog is unknown; the exit code says that something is wrong."""
    url = f"amqp://guest:secret-word@127.0.0.1:{free_port()}//"
    done = shell("status", BROKER_URL=url, LEDGER_URL=stage.redis.url)
    assert done.code == 1
    assert "backlog unknown" in done.out
    assert done.err.startswith("numbergroup: no broker answers at amqp://guest:***@127.0.0.1:")


@on_both_brokers
def test_metrics(stage: Stage, shell: Shell) -> None:
    """Where a port is set, Prometheus finds there how the worker stands. To `run --check` the port of a
    worker that runs is no mistake."""
    port = free_port()
    worker = stage.worker({"METRICS_PORT": str(port)})
    worker.says("serving metrics")
    checked = shell("run", "--check", METRICS_PORT=str(port))
    assert (checked.code, checked.err) == (0, "")
    assert "warning: NUMBERGROUP_METRICS_PORT: a numbergroup worker serves its metrics on " in checked.out
    script, answers = Script(), stage.answers()
    script.some_updates(20, ["a", "b"])
    stage.publish(lone(script.events))
    all_settled(stage, script, answers)

    def shown() -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=room(10)) as answer:
            return str(answer.read().decode())

    text = shown()
    assert 'numbergroup_calls_total{account="default",outcome="applied"} ' in text
    assert 'numbergroup_breaker_state{account="default",state="closed"} 1.0' in text
    assert 'numbergroup_commands_in_hand{partition="0"} 0.0' in text
    assert worker.stop() == 0


def test_the_port_of_the_metrics_is_taken(stage: Stage, shell: Shell) -> None:
    """The worker does not start without what was asked for: exit code 2, and which setting to change.
    `run --check` says so beforehand."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        runs = shell.at_once(("run",), ("run", "--check"), METRICS_PORT=str(port))
    for done in runs:
        assert done.code == 2
        last = done.err.splitlines()[-1]
        assert f"NUMBERGROUP_METRICS_PORT is {port}, but nothing can listen on 127.0.0.1:{port}" in last
        assert "(Address already in use)" in last


@on_both_brokers
def test_too_many_dead_letters(stage: Stage, shell: Shell) -> None:
    """At the cap nothing more is taken in, and status and log say so; as soon as an operator has discarded
    some, what waited is carried out: nothing was lost."""
    worker = stage.worker({"MAX_DEAD_LETTERS": "2"})
    worker.says("owning the partition")
    assert status(shell)["deadLetters"]["alarm"] is None
    stage.publish([b"junk", b"more junk"])
    worker.says("too many dead letters")
    found = json.loads(shell("status", "--json", MAX_DEAD_LETTERS="2").out)["deadLetters"]
    assert (found["count"], found["cap"], found["alarm"]) == (2, 2, "full")
    assert sum(one["count"] for one in found["fingerprints"]) == 2
    script = Script()
    script.some_updates(10, ["a"])
    stage.publish(lone(script.events))
    before = status(shell)["workers"][0]["reported"]
    reported(shell, lambda found: found["workers"][0]["reported"] != before, "another report")
    assert stage.vendor.count() == 0
    assert shell("dead-letters", "discard", "--all", "--yes", "--no-export").code == 0
    eventually(lambda: stage.vendor.count() > 0, "commands are taken in again")
    eventually(lambda: stage.backlog() == 0, "all of them are settled")
