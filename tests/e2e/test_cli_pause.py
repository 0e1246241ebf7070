"""`numbergroup pause` and `numbergroup resume`, spoken to workers that run."""

import json
from typing import Any

import pytest
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_cli import Shell
from e2e_commands import Script, lone
from e2e_processes import eventually, free_port
from e2e_stage import Stage

from numbergroup.ledger import keys

pytestmark = pytest.mark.redis_server


def audit(stage: Stage) -> list[tuple[str, Any]]:
    rows = stage.redis.client.xrange(keys.AUDIT)
    return [(fields[b"action"].decode(), json.loads(fields[b"detail"])) for _, fields in rows]


@on_both_brokers
def test_an_account(stage: Stage, shell: Shell) -> None:
    """Paused, no call of it is made by any worker, and nothing is lost; resumed, everything is."""
    script, answers = Script(), stage.answers()
    assert shell("pause", "account", "default", "--reason", "new keys").code == 0
    workers = [stage.worker(), stage.worker()]
    for worker in workers:
        worker.says("paused by an operator")
    script.some_updates(40, [f"g{n}" for n in range(8)])
    stage.publish(lone(script.events))
    eventually(lambda: stage.backlog() == 40, "all commands are in the broker")
    assert stage.vendor.count() == 0
    assert shell("resume", "account", "default").code == 0
    all_settled(stage, script, answers)


@on_both_brokers
def test_a_group_while_workers_run(stage: Stage, shell: Shell) -> None:
    """Its commands wait, the others' do not; it goes on in order."""
    script, answers = Script(), stage.answers()
    worker = stage.worker()
    worker.says("owning the partition")
    assert shell("pause", "group", "id:slow").code == 0
    worker.says("paused by an operator")
    script.some_updates(60, ["slow", "quick"])
    stage.publish(lone(script.events))
    eventually(lambda: "quick" in stage.vendor.groups(), "the other group is changed")
    assert "slow" not in stage.vendor.groups()
    assert shell("resume", "group", "slow").code == 0
    all_settled(stage, script, answers)


def test_what_it_says(stage: Stage, shell: Shell) -> None:
    """It says what it did, and what had been done before and by whom; doing it again does no harm; all that
    changed something is written down."""
    paused = shell("pause", "account", "default", "--reason", "new\x1b[2J\nkeys")
    assert (paused.code, paused.err) == (0, "")
    assert paused.out == "paused account default: no call of it begins until it is resumed\n"
    again = shell("pause", "account", "default", "--reason", "other")
    assert again.code == 0
    assert again.out.startswith("account default was paused already by ")
    assert again.out.endswith("Z: new\\u001b[2J keys\n")
    resumed, once_more = shell("resume", "account", "default"), shell("resume", "account", "default")
    assert (resumed.code, resumed.out) == (0, "resumed account default\n")
    assert once_more.out.startswith("no operator had paused account default; ")
    assert audit(stage) == [
        ("pause", {"account": "default", "reason": "new\\u001b[2J keys"}),
        ("resume", {"account": "default"}),
        ("resume", {"account": "default"}),
    ]


def test_as_json(stage: Stage, shell: Shell) -> None:
    """One object for programs, which says the same."""
    done = [
        json.loads(shell(*arguments, "--json").out)
        for arguments in (
            ("pause", "group", "key:k:1", "--reason", "r"),
            ("pause", "group", "key:k:1"),
            ("resume", "group", "key:k:1"),
        )
    ]
    first = done[0]
    assert first == {
        "account": "default",
        "group": "key:k:1",
        "paused": True,
        "changed": True,
        "reason": "r",
        "who": first["who"],
        "since": first["since"],
    }
    assert done[1] == {**first, "changed": False}
    assert done[2] == {"account": "default", "group": "key:k:1", "paused": False, "changed": True}


def test_handles(stage: Stage, shell: Shell) -> None:
    """A bare handle is a groupId; of one with a colon in it nobody guesses what it is, but asks."""
    for handle in ("a", "id:b", "key:c", "id:other:d", "id:key:e"):
        assert shell("pause", "group", handle).code == 0
    for verb in ("pause", "resume"):
        asked = shell(verb, "group", "foo:bar")
        assert (asked.code, asked.out) == (2, "")
        assert "use id:foo:bar or key:foo:bar" in " ".join(asked.err.split())
    assert [detail["group"] for _, detail in audit(stage)] == [
        "id:a",
        "id:b",
        "key:c",
        "id:other:d",
        "id:key:e",
    ]


def test_an_account_that_is_not_configured_here(stage: Stage, shell: Shell) -> None:
    """Workers elsewhere may have it: a warning, and it is done."""
    done = shell("pause", "account", "acme")
    assert (done.code, done.out.split(":")[0]) == (0, "paused account acme")
    assert done.err == "warning: no account acme is configured here: is the name right?\n"


def test_where_nobody_can_be_reached(bare_shell: Shell) -> None:
    """On RabbitMQ without a ledger (exit code 2), on no broker at all, or on one that is away (1), it says
    why, and pretends nothing."""
    alone = bare_shell("pause", "account", "default", BROKER_URL="amqp://guest:secret-word@127.0.0.1:1//")
    assert (alone.code, alone.out) == (2, "")
    assert alone.err.startswith("numbergroup: NUMBERGROUP_LEDGER_URL is not set: ")
    away = bare_shell("resume", "account", "default", BROKER_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert (away.code, away.out) == (1, "")
    assert away.err.startswith("numbergroup: no ledger answers at redis://127.0.0.1:")


@pytest.mark.parametrize(
    "arguments",
    [
        ("group", "id:"),
        ("group", ""),
        ("group", "a\nb"),
        ("account", "x" * 129),
        ("group", "a", "--account", ""),
    ],
)
def test_mistakes(bare_shell: Shell, arguments: tuple[str, ...]) -> None:
    """What can be no name is refused (exit code 2), before anything is said to anybody."""
    done = bare_shell("pause", *arguments)
    assert (done.code, done.out) == (2, "")
    assert "must be 1 to 128 printable characters" in done.err
