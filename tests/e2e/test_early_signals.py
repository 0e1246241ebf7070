"""Signals that arrive while a command starts, and has no event loop that could handle them yet."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deadlines import room
from e2e_processes import environment

ACCOUNT = {"ACCOUNTS__DEFAULT__ACCESS_KEY": "k", "ACCOUNTS__DEFAULT__ACCESS_SECRET": "s"}
PROGRAM = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as on a terminal, also where the tests run under nohup
from numbergroup.cli import main
main()
"""
STARTING = ("typer", "pydantic", "aiohttp")
"""Packages that are imported one after the other."""


def code_of(folder: Path, package: str, number: signal.Signals, *arguments: str) -> int:
    """The exit code of a command that gets the signal when it imports the package."""
    (folder / f"{package}.py").write_text(f"import os\nos.kill(os.getpid(), {int(number)})\n")
    variables = environment(folder, ACCOUNT) | {"PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        timeout=room(60),
        check=False,
    ).returncode


@pytest.mark.parametrize("package", STARTING)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_run_ends_well(tmp_path: Path, package: str, number: signal.Signals) -> None:
    assert code_of(tmp_path, package, number, "run") == 0


def test_sandbox_ends_well(tmp_path: Path) -> None:
    assert code_of(tmp_path, "typer", signal.SIGTERM, "sandbox") == 0


@pytest.mark.parametrize("arguments", [("run", "--check"), ("status",)])
def test_others_do_not(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A command with a result of its own must not look as if it had one."""
    assert code_of(tmp_path, "typer", signal.SIGTERM, *arguments) == -signal.SIGTERM
