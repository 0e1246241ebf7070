"""`numbergroup dead-letters` with a person at a terminal: tables, questions, an editor."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dead_letters_written import update
from e2e_letters import left, post, replayed, some
from e2e_stage import RedisServer
from e2e_terminal import on_a_terminal

pytestmark = pytest.mark.redis_server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, durable=False)
    server.start()
    post(server, *some(3))
    try:
        yield server
    finally:
        server.end()


def editor(folder: Path, *contents: bytes) -> str:
    """A program that writes these into the file that it is given, one each time, the last one ever after."""
    for number, content in enumerate(contents):
        (folder / f"edited-{number}").write_bytes(content)
    script = folder / "editor"
    most = len(contents) - 1
    script.write_text(
        f"#!/bin/sh\ncd {folder}\nn=$(cat times 2>/dev/null || echo 0)\n[ $n -le {most} ] || n={most}\n"
        'stat -c %a "$1" > mode\ncat edited-$n > "$1"\necho $((n + 1)) > times\n'
    )
    script.chmod(0o700)
    return str(script)


def test_a_table(redis: RedisServer, tmp_path: Path) -> None:
    """Headings and columns, no tabs."""
    with on_a_terminal(tmp_path, {"BROKER_URL": redis.url}, "dead-letters", "list") as terminal:
        assert terminal.ended() == 0
        assert "\t" not in terminal.screen
        assert "0-c-2-0" in terminal.screen
        assert "fingerprint" in terminal.screen


def test_asked_before_many_are_replayed(redis: RedisServer, tmp_path: Path) -> None:
    """No is no; yes is yes; Ctrl-C is neither, and says so in its exit code."""
    asked = ("dead-letters", "replay", "--all")
    with on_a_terminal(tmp_path, {"BROKER_URL": redis.url}, *asked) as terminal:
        terminal.shows("Replay 3 dead letters? [y/N]")
        terminal.type("\n")
        assert terminal.ended() == 1
    assert left(redis) == 3
    with on_a_terminal(tmp_path, {"BROKER_URL": redis.url}, *asked) as terminal:
        terminal.shows("Replay 3 dead letters? [y/N]")
        terminal.interrupt()
        assert terminal.ended() == 130
    assert left(redis) == 3
    with on_a_terminal(tmp_path, {"BROKER_URL": redis.url}, *asked) as terminal:
        terminal.shows("Replay 3 dead letters? [y/N]")
        terminal.type("y\n")
        assert terminal.ended() == 0
        assert "replayed 3 dead letters" in terminal.screen
    assert len(replayed(redis)) == 3


def test_the_number_has_to_be_typed(redis: RedisServer, tmp_path: Path) -> None:
    """Anything else, or Ctrl-C, discards nothing and leaves no copy behind."""
    asked = ("dead-letters", "discard", "--all")
    for typed in ("2\n", "y\n", None):
        with on_a_terminal(tmp_path, {"BROKER_URL": redis.url}, *asked) as terminal:
            terminal.shows("To confirm, type their number")
            if typed is None:
                terminal.interrupt()
            else:
                terminal.type(typed)
            assert terminal.ended() == (130 if typed is None else 1)
        assert (left(redis), list(tmp_path.glob("*.ndjson"))) == (3, [])
    with on_a_terminal(tmp_path, {"BROKER_URL": redis.url}, *asked) as terminal:
        terminal.shows("To confirm, type their number")
        terminal.type("3\n")
        assert terminal.ended() == 0
    assert left(redis) == 0
    assert len(list(tmp_path.glob("*.ndjson"))) == 1


def test_an_editor(redis: RedisServer, tmp_path: Path) -> None:
    """What is wrong is said, and can be mended at once; nobody else can read the draft, and it is removed."""
    good = update("c-1", "id:g-1", ["8521234567"])
    asked = ("dead-letters", "edit", "0-c-1-0", "--replay")
    program = editor(tmp_path, b"{", good + b"\n")
    drafts = tmp_path / "drafts"
    drafts.mkdir()
    with on_a_terminal(
        tmp_path, {"BROKER_URL": redis.url}, *asked, EDITOR=program, TMPDIR=str(drafts)
    ) as terminal:
        terminal.shows("Edit it again? [Y/n]")
        terminal.type("\n")
        assert terminal.ended() == 0
        assert "the new event is not a valid command: not JSON" in terminal.screen
        assert "edited 0-c-1-0" in terminal.screen
    assert replayed(redis) == [good]
    assert (tmp_path / "mode").read_text() == "600\n"
    assert list(drafts.iterdir()) == []


def test_an_editor_that_changes_nothing(redis: RedisServer, tmp_path: Path) -> None:
    """Then nothing is changed."""
    before = redis.client.xrange("numbergroup:{0}:dead-letters")
    with on_a_terminal(
        tmp_path, {"BROKER_URL": redis.url}, "dead-letters", "edit", "0-c-1-0", EDITOR="true"
    ) as terminal:
        assert terminal.ended() == 0
        assert "nothing was changed" in terminal.screen
    assert redis.client.xrange("numbergroup:{0}:dead-letters") == before


@pytest.mark.parametrize("what", ["rm $1", "rm $1 && mkdir -p $1/more"])
def test_an_editor_that_leaves_no_file(redis: RedisServer, tmp_path: Path, what: str) -> None:
    """That is said, nothing is changed, and nothing is left of the draft."""
    drafts, program = tmp_path / "drafts", tmp_path / "editor"
    drafts.mkdir()
    program.write_text(f"#!/bin/sh\n{what}\n")
    program.chmod(0o700)
    with on_a_terminal(
        tmp_path,
        {"BROKER_URL": redis.url},
        *("dead-letters", "edit", "0-c-1-0"),
        EDITOR=str(program),
        TMPDIR=str(drafts),
    ) as terminal:
        assert terminal.ended() == 1
        assert "the editor left no file" in terminal.screen
        assert "Traceback" not in terminal.screen
    assert list(drafts.iterdir()) == []
    assert left(redis) == 3
