"""How every command ends: its exit code, and what becomes of output that nobody takes."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from deadlines import room
from e2e_cli import Shell
from e2e_processes import NUMBERGROUP, environment, free_port

from numbergroup.cli.app import app
from numbergroup.cli.exit_codes import ExitCode

BARE = b'{"groupId": "g1", "operateType": "add", "phones": "85211111114"}\n'
ACCOUNT = {"ACCOUNTS__DEFAULT__ACCESS_KEY": "k", "ACCOUNTS__DEFAULT__ACCESS_SECRET": "s"}
GIVEN = {
    "publish": ("-",),
    "plan": ("-",),
    "groups diff": ("-",),
    "pause account": ("default",),
    "pause group": ("id:g",),
    "resume account": ("default",),
    "resume group": ("id:g",),
    "dead-letters show": ("0-1-0",),
    "dead-letters replay": ("--all", "--yes"),
    "dead-letters edit": ("0-1-0", "--file", "-"),
    "dead-letters discard": ("--all", "--yes", "--no-export"),
    "dead-letters import": ("-",),
}
WITHOUT_SERVERS = {"demo", "run", "sandbox", "plan", "groups list", "groups diff", "dead-letters import"}
"""Those that start what they need, wait for it, need none, or look at their file before."""


def commands() -> list[str]:
    """Every command there is, found by looking."""

    def each(command: Any, name: str) -> list[str]:
        within = getattr(command, "commands", None)
        if within is None:
            return [name]
        return [one for part, inner in within.items() for one in each(inner, f"{name} {part}".strip())]

    return each(typer.main.get_command(app), "")


def complete(name: str) -> tuple[str, ...]:
    return (*name.split(), *GIVEN.get(name, ()))


def test_every_command_there_is() -> None:
    """What is looked at here is all of it."""
    assert len(commands()) >= 20
    assert set(GIVEN) | WITHOUT_SERVERS <= set(commands())


@pytest.mark.slow
def test_help_of_each(bare_shell: Shell) -> None:
    """0, and nothing on standard error."""
    for done in bare_shell.at_once(*((*name.split(), "--help") for name in commands())):
        assert (done.code, done.err) == (ExitCode.DONE, "")


def test_mistakes_on_the_command_line(bare_shell: Shell) -> None:
    """2, of every command, before anything is done."""
    for done in bare_shell.at_once(*((*complete(name), "--no-such-option") for name in commands())):
        assert (done.code, done.out) == (ExitCode.USAGE, "")
        assert "No such option: --no-such-option" in done.err


@pytest.mark.slow
def test_mistakes_in_the_settings(bare_shell: Shell) -> None:
    """2, and one line that names the variable, of every command that reads settings."""
    names = [name for name in commands() if name != "demo"]
    for name, done in zip(
        names,
        bare_shell.at_once(*map(complete, names), stdin=BARE, PARTITIONS="none", **ACCOUNT),
        strict=True,
    ):
        assert (done.code, done.out) == (ExitCode.USAGE, ""), name
        assert done.err.startswith("numbergroup: NUMBERGROUP_PARTITIONS: "), name
        assert done.err.count("\n") == 1, name


def test_a_server_that_is_away(bare_shell: Shell) -> None:
    """1, and one line that says where it was looked for, of every command that needs one."""
    names = [name for name in commands() if name not in WITHOUT_SERVERS]
    url = f"redis://127.0.0.1:{free_port()}/0"
    runs = [complete(name) for name in names] + [("run", "--check")]
    for run, done in zip(runs, bare_shell.at_once(*runs, stdin=BARE, BROKER_URL=url, **ACCOUNT), strict=True):
        assert done.code == ExitCode.FAILED, run
        assert f" answers at {url} (Connection refused): is it running" in done.err, run
        assert done.err.count("\n") <= 2, run


def test_filters_that_no_letter_meets(bare_shell: Shell) -> None:
    """A kind or a fingerprint that cannot be is a mistake, for whatever is asked of letters, and not an empty
    list."""
    wrong = [
        ("--kind", "bogus"),
        ("--kind", "Refused"),
        ("--fingerprint", "xyz"),
        ("--fingerprint", "0" * 11),
    ]
    verbs = [("list",), ("replay", "--yes"), ("discard", "--yes", "--no-export"), ("export",)]
    runs = [("dead-letters", *verb, *filters) for verb in verbs for filters in wrong]
    for run, done in zip(runs, bare_shell.at_once(*runs, BROKER_URL="redis://127.0.0.1:1/0"), strict=True):
        assert (done.code, done.out) == (ExitCode.USAGE, ""), run
        said = " ".join(done.err.replace("│", " ").split())
        assert ("quarantined" in said and "refused" in said) or "12 hexadecimal digits" in said, run


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(tmp_path: Path, redirection: str) -> None:
    """They are as those of /dev/null: the command does its work, with its own exit code."""
    (tmp_path / "commands.ndjson").write_bytes(BARE)
    for arguments, code in (("plan commands.ndjson", 0), ("plan nowhere", 1), ("--help", 0), ("bogus", 2)):
        done = _run(tmp_path, f"{arguments} {redirection}")
        assert done.returncode == code, arguments
        assert b"Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--help >/dev/full", 1),
        ("--version >/dev/full", 1),
        ("plan commands.ndjson >/dev/full", 1),
        ("plan commands.ndjson --json >/dev/full", 1),
        ("plan nowhere 2>/dev/full", 1),
        ("bogus 2>/dev/full", 2),
        ("bogus >/dev/full 2>&1", 2),
    ],
)
def test_an_output_that_is_full(tmp_path: Path, line: str, code: int) -> None:
    """One line says so, where there is room for it, and never a traceback."""
    (tmp_path / "commands.ndjson").write_bytes(BARE)
    done = _run(tmp_path, line)
    assert done.returncode == code
    full = b"" if "2>" in line else b"numbergroup: the output is not complete: No space left on device\n"
    assert done.stderr == full


@pytest.mark.slow
@pytest.mark.parametrize("line", ["--help", "plan many.ndjson", "plan many.ndjson --json", "dead-letters -h"])
def test_a_reader_that_has_gone(tmp_path: Path, line: str) -> None:
    """`… | head` is no failure: 0, quietly, whatever is printed and whoever prints it."""
    (tmp_path / "many.ndjson").write_bytes(BARE * 5_000)
    done = _run(tmp_path, f"{line} --numbers | true" if line == "plan many.ndjson" else f"{line} | true")
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_mistake_that_nobody_reads(tmp_path: Path) -> None:
    """It keeps its exit code."""
    assert _run(tmp_path, "bogus 2>&1 | true").returncode == ExitCode.USAGE


def _run(folder: Path, line: str) -> "subprocess.CompletedProcess[bytes]":
    """A command as a shell runs it, with a pipe's code being that of who writes into it."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {NUMBERGROUP[0]} {line}"],
        cwd=folder,
        env=environment(folder, {}),
        capture_output=True,
        timeout=room(60),
        check=False,
    )
