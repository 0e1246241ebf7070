"""A secret that is rotated in the middle of a backlog: nothing is lost, nothing is dead-lettered."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_answers import letters
from e2e_brokers import on_both_brokers
from e2e_checks import all_settled
from e2e_commands import Script, lone
from e2e_processes import eventually
from e2e_stage import SECRET, Stage, Worker

pytestmark = [pytest.mark.redis_server, on_both_brokers]

NEW_SECRET = "r0tated-secret"
READ_AGAIN = "credentials were read again"
NAMES = [f"id{n:02}" for n in range(40)]


@pytest.fixture
def secret(stage: Stage) -> Iterator[Path]:
    """The file that the workers have the secret from."""
    del stage.settings["ACCOUNTS__DEFAULT__ACCESS_SECRET"]
    file = stage.folder / "secret"
    file.write_text(SECRET)
    stage.settings["ACCOUNTS__DEFAULT__ACCESS_SECRET_FILE"] = str(file)
    yield file
    assert NEW_SECRET not in stage.output()


def begin(stage: Stage, script: Script, **account: str) -> Worker:
    """A worker in the middle of a backlog: slow, so that most of it is still there."""
    for name in NAMES:
        script.some_updates(3, [name])
    stage.publish(lone(script.events))
    before = stage.vendor.count()
    worker = stage.worker(**{"CALLS_PER_SECOND": "20", "MAX_IN_FLIGHT": "4", **account})
    eventually(lambda: stage.vendor.count() > before + 5, "some calls")
    assert stage.backlog() > 0
    return worker


def refused(stage: Stage) -> int:
    """How many calls were refused for their signature."""
    return sum(call["code"] == 1003 for call in stage.vendor.calls())


def test_the_vendor_changes_first(stage: Stage, secret: Path) -> None:
    """The account pauses, and hardly calls any more; when the file has the new secret, all goes through."""
    script, answers = Script(), stage.answers()
    worker = begin(stage, script)
    stage.vendor.rotate(NEW_SECRET)
    worker.says('"1003"')
    assert refused(stage) <= 8
    assert stage.backlog() > 0
    secret.write_text(f"{NEW_SECRET}\n")
    worker.says(READ_AGAIN)
    all_settled(stage, script, answers)
    assert refused(stage) <= 8
    assert set(answers.statuses().values()) <= {"applied", "superseded"}
    assert letters(stage.redis.client) == []
    assert worker.alive


def test_the_file_changes_first(stage: Stage, secret: Path) -> None:
    """The former secret is used until the vendor has switched, and the new one from then on: no pause."""
    script, answers = Script(), stage.answers()
    # Of several calls one could find the vendor before its change with the new and after it with the former.
    worker = begin(stage, script, MAX_IN_FLIGHT="1", CALLS_PER_SECOND="10")
    secret.write_text(NEW_SECRET)
    worker.says("the vendor takes the account's former credentials still")
    stage.vendor.rotate(NEW_SECRET)
    all_settled(stage, script, answers)
    assert "the vendor takes the account's new credentials" in worker.out + worker.err
    assert "the account is paused" not in worker.out + worker.err
    assert letters(stage.redis.client) == []


def test_a_file_that_is_no_secret_for_a_while(stage: Stage, secret: Path) -> None:
    """A file that is empty or gone changes nothing but the log: the worker goes on with what it has."""
    script, answers = Script(), stage.answers()
    worker = begin(stage, script)
    secret.write_text("")
    worker.says("ACCESS_SECRET_FILE names")
    secret.unlink()
    worker.says("cannot be read")
    all_settled(stage, script, answers)
    assert refused(stage) == 0
    assert worker.alive
